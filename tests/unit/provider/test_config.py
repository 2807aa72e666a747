"""provider.yaml: Kip's own names, and one clear line for everything that is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from kip_conformance.infra.cell.quantities import quantity
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.provider.config import Config, load_config, parse_config

ORIGIN = Path("provider.yaml")
FULL = """\
apiVersion: v1
cloud:
  aws:
    region: us-east-1
    accessKeyID: AKIA
    secretAccessKey: secret
    vpcID: vpc-1
    subnetID: subnet-1
etcd:
  internal:
    dataDir: /opt/kip/data
kubelet:
  cpu: "64"
  memory: 512Gi
  pods: 400
cells:
  nametag: kip
  defaultInstanceType: t3.nano
  defaultVolumeSize: 5Gi
  bootImageSpec:
    owners: "689494258501"
    filters: name=elotl-kip-*
  extraCIDRs: [192.168.50.0/24]
  extraSecurityGroups:
    - sg-246810
  privateIPOnly: true
  itzo:
    version: 532
    url: http://itzo-kip-download.s3.amazonaws.com
  statusInterval: 7
  healthcheck:
    status:
      healthyTimeout: 30
  cellConfig:
    proxyMode: nftables
"""


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_config(text, ORIGIN)
    (line,) = str(caught.value).splitlines()
    return line


def test_kips_own_fields_are_read():
    config = parse_config(FULL, ORIGIN)

    assert config.cloud.aws.subnet_id == "subnet-1"
    assert config.kubelet.pods == "400"
    assert config.cells.itzo.version == "532"
    assert config.cells.extra_cidrs == ("192.168.50.0/24",)
    assert config.cells.private_ip_only is True
    assert config.cells.health_check.status.healthy_timeout == 30
    assert config.cells.cell_config == {"proxyMode": "nftables"}


def test_an_empty_file_is_all_defaults():
    assert parse_config("---\n", ORIGIN) == Config()


def test_an_unknown_field_is_named_with_its_line():
    said = refused("cells:\n  nametag: kip\n  privateIpOnly: true\n")

    assert said.startswith("provider.yaml:3: unknown field cells.privateIpOnly; cells may have nametag,")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("cells: [1]", 1, "cells must be a mapping"),
        ("cells:\n  extraCIDRs: 10.0.0.0/8\n", 2, "cells.extraCIDRs must be a list"),
        ("cells:\n  privateIPOnly: maybe\n", 2, "cells.privateIPOnly must be true or false, not 'maybe'"),
        ("cells:\n  statusInterval: soon\n", 2, "cells.statusInterval must be a whole number, not 'soon'"),
        ("cells:\n  nametag: a\n  nametag: b\n", 3, "cells.nametag is there twice"),
        ("cells:\n  nametag: [a]\n", 2, "cells.nametag must be a single value"),
        ("cells:\n  cellConfig: 3\n", 2, "cells.cellConfig must be a mapping"),
        ("a: b: c\n", 1, "no YAML"),
    ],
)
def test_a_value_of_another_kind_is_refused_where_it_stands(text, line, said):
    found = refused(text)

    assert found.startswith(f"provider.yaml:{line}: ")
    assert said in found


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("nametag: Kip", "cells.nametag 'Kip'"),
        ("nametag: " + "k" * 35, "at most 34"),
        ("extraCIDRs: [10.0.0.1/8]", "cells.extraCIDRs: '10.0.0.1/8' is no IPv4 range"),
        ("extraSecurityGroups: [default]", "'default' is no security group's id"),
        ("defaultVolumeSize: 1Mi", "1Gi or more"),
        ("defaultVolumeSize: big", "cells.defaultVolumeSize: 'big' is no quantity"),
        ("statusInterval: 0", "one second or more"),
        ("healthcheck: {status: {healthyTimeout: -1}}", "not below 0"),
        ("cellConfig: {imageCacheEndpoint: x}", "cells.cellConfig.imageCacheEndpoint is unknown"),
        ("itzo: {url: s3}", "http:// or https://"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(cells, said):
    assert said in refused(f"cells: {{{cells}}}")


def test_another_version_is_refused():
    assert "this provider reads v1" in refused("apiVersion: v2")


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"provider\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "provider.yaml")


@pytest.mark.parametrize(
    ("text", "number"),
    [("64", 64), ("500m", 0.5), ("512Gi", 512 * 2**30), ("1e3", 1000), ("12G", 12e9), (".5", 0.5), ("3E", 3e18)],
)
def test_quantities(text, number):
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1KiB", "0x1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(text)
