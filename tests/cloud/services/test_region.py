"""The API of the cloud from its own machines: of it they have the certificate of its authority, and nothing else."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from kip_conformance.infra.cloud.region.world import PROBER_SOCKET
from kip_conformance.infra.cloud.start import machine_environment
from kip_conformance.infra.probe import prober

EC2 = "https://ec2.eu-central-1.amazonaws.com"
S3 = "https://s3.eu-central-1.amazonaws.com"
REFUSED = (
    "def status(url, method='GET', **headers):\n"
    "    asked = urllib.request.Request(url, method=method, headers=headers, data=b'' if method == 'POST' else None)\n"
    "    try: return urllib.request.urlopen(asked, timeout=5, context=tls).status\n"
    "    except urllib.error.HTTPError as error: return error.code\n"
    "import os, ssl; tls = ssl.create_default_context(cafile=os.environ['AWS_CA_BUNDLE'])\n"
)


def test_a_machine_with_a_way_out_speaks_to_ec2_by_its_name(region, public):
    found = region.python(
        public,
        "found = boto3.client('ec2').describe_instances()['Reservations']\n"
        "show([one['InstanceId'] for group in found for one in group['Instances']])",
    )
    assert public in found


def test_sts_and_ecr_answer_at_names_of_their_own(region, public):
    account, host = region.python(
        public,
        "show([boto3.client('sts').get_caller_identity()['Account'],"
        " boto3.client('ecr').get_authorization_token()['authorizationData'][0]['proxyEndpoint']])",
    )
    assert account == "123456789012"
    assert host == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def test_with_a_role_a_region_and_the_certificate_are_all_it_takes(region):
    iam = region.client("iam")
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="reader")
    iam.add_role_to_instance_profile(InstanceProfileName="reader", RoleName="reader")
    machine = region.machine("public", IamInstanceProfile={"Name": "reader"})
    found = region.python(
        machine,
        "found = boto3.client('ec2').describe_instances()['Reservations']\n"
        "show([one['InstanceId'] for group in found for one in group['Instances']])",
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
    )
    assert machine in found


def test_a_machine_without_a_way_out_reaches_no_service(region, private):
    said = region.python(
        private,
        "try: boto3.client('ec2', config=quick).describe_vpcs(); show('answered')\n"
        "except Exception as error: show(type(error).__name__)",
    )
    assert said == "ConnectTimeoutError"


@pytest.mark.parametrize(
    "path",
    [
        "/_kip/view", "//_kip/view", "/%5fkip/view", "/%5Fkip%2fview", "/./_kip/faults", "/x/../_kip/view",
        "/moto-api/data.json", "//moto-api/data.json", "/latest/meta-data/iam/security-credentials/",
    ],
)  # fmt: skip
def test_what_is_the_operators_is_not_reached_from_machines(region, public, path):
    for start in (EC2, S3):
        code, said = _curl(region, public, f"{start}{path}")
        assert code in ("403", "404")
        assert "faults" not in said
        assert "region" not in said


def test_no_machine_changes_the_registrys_limits_or_resets_the_cloud(region, public):
    codes = region.python(
        public,
        REFUSED + f"show([status('{S3}/_kip/registry', 'PUT'), status('{S3}/moto-api/reset', 'POST'),"
        f" status('{S3}/_kip/registry?repository=x', **{{'X-Kip-Service': 'registry', 'X_Kip_Service': 'registry'}})])",
    )
    assert codes == [404, 404, 404]
    assert region.describe(public)["State"]["Name"] == "running"


def test_an_address_is_one_service_whatever_a_request_says(region, public):
    codes = region.python(
        public,
        "from botocore.exceptions import ClientError\n"
        "def code(call):\n"
        "    try: call(); return 'answered'\n"
        "    except ClientError as error: return error.response['Error']['Code']\n"
        f"show([code(boto3.client('ec2', endpoint_url='{S3}').describe_vpcs),"
        f" code(boto3.client('ecr', endpoint_url='{EC2}').describe_repositories)])",
    )
    assert "answered" not in codes
    form = "Action=DescribeVpcs&Version=2016-11-15"
    for way in (("--data", form), ("-G", "--data", form)):
        code, said = _curl(region, public, f"{S3}/", *way)
        assert (code, "cidrBlock" in said) == ("403", False)


def test_objects_are_put_and_got_in_either_style_and_public_ones_by_anybody(region, public):
    names = region.python(
        public,
        "import io; s3 = boto3.client('s3'); place = {'LocationConstraint': 'eu-central-1'}\n"
        "s3.create_bucket(Bucket='downloads', CreateBucketConfiguration=place)\n"
        "s3.put_object(Bucket='downloads', Key='itzo/agent', Body=b'a' * 3_000_000, ACL='public-read')\n"
        "s3.put_object(Bucket='downloads', Key='secret', Body=b's')\n"
        "s3.upload_fileobj(io.BytesIO(b'l' * 20_000_000), 'downloads', 'large')\n"
        "got = [len(s3.get_object(Bucket='downloads', Key=key)['Body'].read()) for key in ('itzo/agent', 'large')]\n"
        "path = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}))\n"
        "show([*got, [one['Key'] for one in path.list_objects_v2(Bucket='downloads')['Contents']],"
        " s3.generate_presigned_url('get_object', Params={'Bucket': 'downloads', 'Key': 'secret'})])",
    )
    assert names[:3] == [3_000_000, 20_000_000, ["itzo/agent", "large", "secret"]]
    for url in (
        "http://downloads.s3.eu-central-1.amazonaws.com/itzo/agent",
        "http://s3.eu-central-1.amazonaws.com/downloads/itzo/agent",
        f"{S3}/downloads/itzo/agent",
    ):
        done = region.run(public, "curl", "-s", "--fail", "--cacert", str(region.ca), url)
        assert (done.returncode, len(done.stdout)) == (0, 3_000_000)
    assert _curl(region, public, f"{S3}/downloads/secret")[0] == "403"
    assert _curl(region, public, names[3]) == ("200", "s")


def test_the_world_outside_sees_the_public_address(region, public):
    code, said = _curl(region, public, "http://web.example/")
    assert code == "200"
    assert f'"source": "{region.describe(public)["PublicIpAddress"]}"' in said


def test_the_prober_of_the_web_server_sends_probes_too(region, public):
    """What makes it a place: a channel to the resident prober, as to one on any host."""
    argv = [sys.executable, "-I", str(Path(prober.__file__).resolve()), "channel", "--socket", PROBER_SOCKET]
    held = region.control.open(argv, machine="web")
    try:
        with os.fdopen(os.dup(held.stdout)) as lines:
            hello = json.loads(lines.readline())
    finally:
        held.close()
    assert (hello["hello"], hello["name"]) == (prober.PROTOCOL_VERSION, "outside")


def test_names_of_nobody_do_not_exist_and_others_do_over_tcp_and_udp(region, public):
    address = region.describe(public)["PublicIpAddress"]
    name = f"ec2-{address.replace('.', '-')}.eu-central-1.compute.amazonaws.com"
    for way in ("udp", "tcp"):
        assert region.resolved(public, "web.example", "198.51.100.53", way) == "198.51.100.10"
        assert region.resolved(public, name, "198.51.100.53", way) == address
        assert region.resolved(public, "any.dkr.ecr.eu-central-1.amazonaws.com", "198.51.100.53", way) == "192.0.2.73"
        assert region.resolved(public, "nobody.example", "198.51.100.53", way) == "NXDOMAIN"
    # In the VPC the public name is the private address.
    assert region.resolved(public, name) == region.describe(public)["PrivateIpAddress"]


def test_what_the_page_shows_works_as_written(region, public):
    page = (Path(__file__).parents[3] / "docs" / "cloud.md").read_text()
    part = page.partition("## The region's services, from machines")[2].partition("\n## ")[0]
    python = part.partition("```python\n")[2].partition("```")[0]
    shown = region.python(public, f"{python}\nshow([repository, len(vpcs) > 0])")
    assert shown == ["123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/app", True]

    commands = [line for line in part.splitlines() if line.startswith("curl ")]
    said = [region.run(public, *shlex.split(line), CURL_CA_BUNDLE=str(region.ca)).stdout for line in commands]
    assert said[:2] == [b"what a machine downloads\n"] * 2
    assert json.loads(said[2])["source"] == region.describe(public)["PublicIpAddress"]
    told = [line.partition("=") for line in machine_environment(region.control.folder)]
    assert {name: value for name, _, value in told}["AWS_CA_BUNDLE"] == str(region.ca)


def _curl(region, machine: str, url: str, *more: str) -> tuple[str, str]:
    """Status and body, the path sent as it is."""
    argv = ("curl", "-s", "--path-as-is", "-m", "10", "--cacert", str(region.ca), "-w", "\n%{http_code}", *more, url)
    body, _, code = region.run(machine, *argv).stdout.decode().rpartition("\n")
    return code, body
