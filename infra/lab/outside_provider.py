"""One more provider in a lab, on a machine of the site on premises: outside of the network that its cells are in.

No cloud's metadata answers there. The region's API is reached through its interface endpoint, as from any network that
is connected by VPN (AWS PrivateLink Guide, "Access AWS services through AWS PrivateLink"); the machine knows the
endpoint's address from a hosts file. Whatever it leaves in the cluster and in the cloud goes with it.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import yaml
from kip_conformance.infra.cloud.start import REGION, machine_environment
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.attempts import Attempts
from kip_conformance.infra.lab.cells import command_files, end_provider, provider_settings, run_provider
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.pki import Authority
from kip_conformance.infra.lab.plan import ON_PREM_HOST, PLAN, NodePlan

__all__ = ["LabOutsideProvider"]

_NODE, _SECRETS = "kip-outside", "kube-system"
_HOST = NodePlan(ON_PREM_HOST.name, ON_PREM_HOST.address, subnet="", pod_cidr="")
_SERVICE = f"ec2.{REGION}.amazonaws.com"
_ENTER = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')
_ENDS_WITHIN, _GONE_WITHIN = 15, 60.0


class LabOutsideProvider:
    """The same program as the lab's others, told the same but for where its cells go. Use it in a `with` block.

    See OutsideProvider in infra/targets/protocol.py.
    """

    def __init__(self, control: Control, api: KubeApi, ec2: Any) -> None:
        self._control, self._api, self._ec2 = control, api, ec2
        self._folder = control.folder.machine(_HOST.name)
        self._runs = False

    def __enter__(self) -> LabOutsideProvider:
        hosts = f"127.0.0.1 localhost\n{_HOST.address} {_HOST.name}\n{self._endpoint()} {_SERVICE}\n"
        (self._folder / "provider-hosts").write_text(hosts)
        folder = self._control.folder
        authority = Authority.of(folder.pki, f"kip-conformance {folder.run_id}")
        authority.issue(f"{_HOST.name}-kubelet", _HOST.name, names=[_HOST.name, _HOST.address])
        return self

    def __exit__(self, *_: object) -> None:
        secret = self._api.find("Secret", f"kip-provider-{_NODE}", _SECRETS)
        if secret is not None:
            controller = base64.b64decode(secret["data"]["controller-id"]).decode()
            self._until(lambda: self._instances(controller), "its cells")
        if self._runs:
            self._runs = False
            end_provider(self._control, _HOST)
        self._api.delete("Node", _NODE)
        if secret is not None:
            self._until(lambda: self._groups(controller), "its security group")
            self._api.delete("Secret", f"kip-provider-{_NODE}", _SECRETS)

    def refusal(self, subnet: str) -> str:
        done = self._control.run(
            ["timeout", str(_ENDS_WITHIN), *self._command(subnet)],
            machine=_HOST.name,
            env=self._environment(),
            timeout=_ENDS_WITHIN + 5,
        )
        if done.returncode in (0, 124):
            return ""
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"exit code {done.returncode}"

    def start(self, subnet: str) -> str:
        self._runs = True
        run_provider(self._control, _HOST, self._command(subnet), self._environment())
        return _NODE

    def _command(self, subnet: str) -> list[str]:
        """The command of one of the lab's providers, for this machine."""
        pki, config = self._control.folder.pki, self._folder / "provider.yaml"
        told = copy.deepcopy(provider_settings(self._control))
        told["cells"]["extraCIDRs"] = [*told["cells"]["extraCIDRs"], PLAN.on_prem]
        told["cloud"]["aws"] = {**told["cloud"]["aws"], **({"subnetID": subnet} if subnet else {})}
        config.write_text(yaml.safe_dump(told))
        argv: list[str] = json.loads(command_files(self._control)[0].read_text())
        for option, value in {
            "--config": str(config),
            "--nodename": _NODE,
            "--address": _HOST.address,
            "--kubelet-certificate": f"{pki}/{_HOST.name}-kubelet.crt",
            "--kubelet-key": f"{pki}/{_HOST.name}-kubelet.key",
        }.items():
            argv[argv.index(option) + 1] = value
        return [*_ENTER, str(self._folder / "provider-hosts"), *argv]

    def _environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in machine_environment(self._control.folder))

    def _endpoint(self) -> str:
        """The address of the region's API inside the lab's VPC."""
        filters = [{"Name": "service-name", "Values": [f"com.amazonaws.{REGION}.ec2"]}]
        (found,) = self._ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        interfaces = self._ec2.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])
        address: str = interfaces["NetworkInterfaces"][0]["PrivateIpAddress"]
        return address

    def _instances(self, controller: str) -> str:
        states = ["pending", "running", "shutting-down", "stopping", "stopped"]
        filters = [
            {"Name": "tag:KipControllerID", "Values": [controller]},
            {"Name": "instance-state-name", "Values": states},
        ]
        found = self._ec2.describe_instances(Filters=filters)["Reservations"]
        return ", ".join(one["InstanceId"] for group in found for one in group["Instances"])

    def _groups(self, controller: str) -> str:
        """Deletes them, too."""
        from botocore.exceptions import ClientError

        filters = [{"Name": "tag:KipControllerID", "Values": [controller]}]
        for one in self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
            try:
                self._ec2.delete_security_group(GroupId=one["GroupId"])
            except ClientError as error:
                return f"{one['GroupId']}: {error.response['Error']['Code']}"
        return ""

    def _until(self, left: Callable[[], str], what: str) -> None:
        attempts = Attempts(within=_GONE_WITHIN)
        while found := left():
            if attempts.over():
                raise HarnessError(f"provider {_NODE}: {what} are left {_GONE_WITHIN:g} s later: {found}")
            attempts.pause()
