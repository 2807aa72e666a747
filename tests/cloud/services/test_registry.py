"""The region's container registry: real pushes and pulls by skopeo, credentials of the API, layers out of S3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .registry_clients import HOST, skopeo, token


def test_an_image_is_pushed_and_pulled_whole(region, public, pushed, image):
    done = skopeo(region, public, "copy", f"docker://{HOST}/{pushed}:1", f"oci:{region_folder(region, 'whole')}:1")
    assert done.returncode == 0, done.stderr.decode()
    before, after = (
        {path.name for path in (folder / "blobs/sha256").iterdir()}
        for folder in (image, region_folder(region, "whole"))
    )
    assert before == after


def test_layers_are_in_the_bucket_of_s3_and_its_addresses_are_signed(region, public, pushed):
    digest = layer(region, public, pushed)
    user = ("-u", token(region))
    head = curl(region, public, f"https://{HOST}/v2/{pushed}/blobs/{digest}", "-I", *user)
    answer = curl(region, public, f"https://{HOST}/v2/{pushed}/blobs/{digest}", "-D-", *user)
    assert (head[0], answer[0]) == ("200", "307")
    where = next(line.partition(": ")[2] for line in answer[1].splitlines() if line.lower().startswith("location"))
    assert where.startswith("https://prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com/")

    assert curl(region, public, where, "-o/dev/null")[0] == "200"
    assert curl(region, public, where.replace("Signature=", "Signature=0"))[0] == "403"
    assert curl(region, public, where.partition("?")[0])[0] == "403"


@pytest.mark.parametrize(
    ("credentials", "code"),
    [("", "401"), ("AWS:nonsense", "401"), ("AWS:no.\xe9", "401"), ("lab:lab", "401")],
    ids=["none", "wrong", "not-ascii", "another-user"],
)
def test_who_has_no_token_is_refused(region, public, pushed, credentials, code):
    user = ("-u", credentials) if credentials else ()
    got, said = curl(region, public, f"https://{HOST}/v2/{pushed}/manifests/1", "-D-", *user)
    assert got == code
    assert 'basic realm="https://' in said.lower()


def test_a_token_runs_out(region, public, pushed):
    region.cloud.limit_registry(lifetime=0)
    try:
        old = token(region)
    finally:
        region.cloud.limit_registry()
    got, said = curl(region, public, f"https://{HOST}/v2/{pushed}/manifests/1", "-u", old)
    assert (got, "expired" in said) == ("403", True)
    done = skopeo(region, public, "inspect", f"docker://{HOST}/{pushed}:1", credentials=old)
    assert done.returncode != 0
    assert skopeo(region, public, "inspect", f"docker://{HOST}/{pushed}:1").returncode == 0


def test_credentials_open_the_repositories_that_they_are_for(region, public, pushed):
    region.client("ecr").create_repository(repositoryName="other/app")
    region.cloud.limit_registry(only={"limited": ["other/*"]})
    try:
        given = token(region, "limited")
        done = skopeo(region, public, "inspect", f"docker://{HOST}/{pushed}:1", credentials=given)
        assert done.returncode != 0
        assert b"may not use" in done.stderr or b"denied" in done.stderr.lower()
        assert curl(region, public, f"https://{HOST}/v2/other/app/tags/list", "-u", given)[0] == "404"
        stolen = f"https://{HOST}/v2/other/app/blobs/uploads/?mount={layer(region, public, pushed)}&from={pushed}"
        assert curl(region, public, stolen, "-X", "POST", "-u", given)[0] == "202"
    finally:
        region.cloud.limit_registry()


def test_a_repositorys_policy_keeps_an_access_key_out(region, public, pushed):
    deny = {"Statement": [{"Effect": "Deny", "Principal": {"AWS": "unwanted"}, "Action": "ecr:*"}]}
    region.client("ecr").set_repository_policy(repositoryName=pushed, policyText=json.dumps(deny))
    got, said = curl(region, public, f"https://{HOST}/v2/{pushed}/manifests/1", "-u", token(region, "unwanted"))
    assert (got, json.loads(said)["errors"][0]["code"]) == ("403", "DENIED")
    assert curl(region, public, f"https://{HOST}/v2/{pushed}/manifests/1", "-u", token(region))[0] == "200"


def test_a_repository_that_nobody_created_takes_no_image(region, public, image):
    done = skopeo(region, public, "copy", f"oci:{image}:latest", f"docker://{HOST}/nobody/made:1")
    assert done.returncode != 0
    assert b"there is no repository nobody/made" in done.stderr or b"name unknown" in done.stderr.lower()


def test_a_private_subnet_needs_the_registrys_endpoints_and_a_way_to_s3(region, private, pushed):
    image = f"docker://{HOST}/{pushed}:1"
    assert skopeo(region, private, "inspect", "--raw", image, timeout=3).returncode != 0
    made = [endpoint(region, f"ecr.{kind}") for kind in ("api", "dkr")]
    try:
        region.until(lambda: region.resolved(private, HOST).startswith("10.40."), "the name does not lead there")
        region.until(
            lambda: skopeo(region, private, "inspect", "--raw", image, timeout=5).returncode == 0, "no manifest"
        )
        into = f"oci:{region_folder(region, 'endpoints')}:1"
        hung = skopeo(region, private, "copy", image, into, timeout=5)
        assert hung.returncode != 0
        assert b"starport-layer-bucket" in hung.stderr or b"deadline exceeded" in hung.stderr

        made.append(
            region.ec2.create_vpc_endpoint(
                VpcId=region.vpc, ServiceName="com.amazonaws.eu-central-1.s3", RouteTableIds=[region.tables["private"]]
            )["VpcEndpoint"]["VpcEndpointId"]
        )
        region.until(
            lambda: skopeo(region, private, "copy", image, into, timeout=10).returncode == 0, "layers do not come"
        )
    finally:
        region.ec2.delete_vpc_endpoints(VpcEndpointIds=made)


def test_the_front_is_started_again_and_the_images_are_still_there(region, public, pushed):
    import signal

    region.control.signal("services", "services", signal.SIGKILL)
    region.until(
        lambda: curl(region, public, f"https://{HOST}/v2/{pushed}/manifests/1", "-u", token(region))[0] == "200",
        "the registry does not come back",
    )


def endpoint(region, service: str) -> str:
    made: str = region.ec2.create_vpc_endpoint(
        VpcId=region.vpc, VpcEndpointType="Interface", ServiceName=f"com.amazonaws.eu-central-1.{service}",
        SubnetIds=[region.subnets["private"]], SecurityGroupIds=[region.groups["private"]], PrivateDnsEnabled=True,
    )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    return made


def region_folder(region, name: str) -> Path:
    """A folder that machines see at the same path."""
    folder: Path = region.control.folder.path / "pulled" / name
    folder.parent.mkdir(exist_ok=True)
    return folder


def layer(region, machine: str, repository: str) -> str:
    """The digest of the image's layer."""
    url = f"https://{HOST}/v2/{repository}/manifests/1"
    said = curl(region, machine, url, "-u", token(region))[1]
    digest: str = json.loads(said)["layers"][0]["digest"]
    return digest


def curl(region, machine: str, url: str, *more: str) -> tuple[str, str]:
    accept = ("-H", "Accept: application/vnd.oci.image.manifest.v1+json, */*")
    argv = ("curl", "-s", "-m", "10", "--cacert", str(region.ca), "-w", "\n%{http_code}", *accept, *more, url)
    body, _, code = region.run(machine, *argv).stdout.decode(errors="replace").rpartition("\n")
    return code, body
