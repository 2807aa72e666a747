"""The cell's rules as text, kube-proxy's configuration, control groups by path."""

from __future__ import annotations

from kip_conformance.infra.cell import cgroups
from kip_conformance.infra.cell.datapath import Uplink
from kip_conformance.infra.cell.rules import rules
from kip_conformance.infra.cell.service_proxy import configuration, kubeconfig
from kip_conformance.infra.cell.settings import CellSettings

SETTINGS = CellSettings(
    "v",
    "u",
    "s",
    "c",
    "c",
    "k",
    "kip-node",
    "10.0.0.9",
    vpc_cidrs=("10.0.0.0/16", "203.0.113.0/24"),
    api_server="https://10.0.0.1:6443",
    api_ca="CA",
    proxy_token="t",
)
UPLINK = Uplink("ens5", "10.0.0.5", 9001)


def test_what_is_never_translated_is_in_the_set():
    text = rules(UPLINK, SETTINGS)

    for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "203.0.113.0/24"):
        assert cidr in text
    assert 'ip saddr 10.0.0.9 oifname "ens5" ip daddr != @inside counter masquerade' in text
    assert 'iifname "veth0" ip daddr 169.254.169.254 counter reject' in text


def test_kube_proxy_serves_no_node_ports_and_knows_the_pod_by_its_interface():
    made = configuration(SETTINGS, "10.0.0.5")

    assert made["nodePortAddresses"] == ["192.0.2.0/32"]
    assert (made["detectLocalMode"], made["detectLocal"]) == ("BridgeInterface", {"bridgeInterface": "veth0"})
    assert made["hostnameOverride"] == "kip-node"
    assert kubeconfig(SETTINGS)["users"][0]["user"] == {"token": "t"}


def test_the_pods_groups_are_below_the_agents_on_v1_and_beside_it_on_v2(tmp_path):
    text = "4:memory:/lab/i-1\n1:cpu,cpuacct:/other\n0::/unified\n"
    assert cgroups.own_group(text, tmp_path) == "/lab/i-1"
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert cgroups.own_group("0::/lab/i-1/system\n", tmp_path) == "/lab/i-1"
    assert cgroups.own_group("0::/\n", tmp_path) == ""
    assert cgroups.container_group("/lab/i-1", "c0-0") == "/lab/i-1/pod/c0-0"


def test_controllers_are_handed_down_on_v2(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    for group in ("lab", "lab/pod"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "cgroup.controllers").write_text("cpu memory pids io\n")
        (tmp_path / group / "cgroup.subtree_control").write_text("cpu\n")
    cgroups.prepare("/lab", tmp_path)

    assert (tmp_path / "lab/pod/cgroup.subtree_control").read_text() == "+pids"


def test_memory_that_was_used_up(tmp_path):
    group = tmp_path / "memory/lab/pod/c0-0"
    group.mkdir(parents=True)
    (group / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")

    assert cgroups.memory_used_up("/lab", "c0-0", tmp_path)
    assert not cgroups.memory_used_up("/lab", "c1-0", tmp_path)
