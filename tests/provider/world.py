"""A cloud, an API server that has no controllers, and the provider on a machine of its own: all that its tests need."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kip_conformance.infra.provider
import yaml
from kip_conformance.infra.cloud.realize.machines import prepare_machine
from kip_conformance.infra.cloud.start import REGION, ec2_client, start_cloud
from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.kube import ApiRefusal, KubeApi
from kip_conformance.infra.lab import bring_up, control_plane
from kip_conformance.infra.lab.binaries.provide import Toolset, provide
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, PLAN
from kip_conformance.infra.lab.residents import system_manifests
from kip_conformance.infra.lab.vpc import LabVpc, make_vpc, wait_running

HERE = Path(__file__).parent
MANIFESTS = Path(kip_conformance.infra.provider.__file__).parent / "manifests"
IMAGE = "ami-0d00000000000debd"
NODE, PROVIDER_MACHINE = "kip-node", "node-a"
_API_PORT, KUBELET_PORT = 4566, 10260
_DOUBLE = "double"


@dataclass
class World:
    """`api` is the operator's client, `ec2` everybody's."""

    control: Control
    tools: Toolset
    url: str
    ec2: Any
    vpc: LabVpc
    api: KubeApi
    settings: dict[str, Any] = field(default_factory=dict)
    _number: int = 0

    # -- the provider

    @property
    def config_file(self) -> Path:
        return self.control.folder.path / "provider.yaml"

    def configure(self, **cells: Any) -> None:
        """Write provider.yaml; `cells` replace fields of that section."""
        archive = self.control.folder.path / "agent" / f"itzo-{_DOUBLE}"
        itzo = {
            "url": f"http://{CONTROL_PLANE.address}:8000",
            "version": _DOUBLE,
            "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        }
        section = {
            "nametag": "test",
            "defaultInstanceType": "t3.small",
            "bootImageSpec": {"imageIDs": IMAGE},
            "statusInterval": 1,
            "itzo": itzo,
            **cells,
        }
        told = {"apiVersion": "v1", "cloud": {"aws": {"region": REGION}}, "cells": section}
        self.config_file.write_text(yaml.safe_dump(told))

    def start_provider(self, *options: str) -> None:
        argv = [sys.executable, "-m", "kip_conformance.infra.provider", "--config", str(self.config_file)]
        argv += ["--kubeconfig", str(self.control.folder.pki / "kip-provider.kubeconfig"), "--nodename", NODE]
        pki = self.control.folder.pki
        argv += ["--kubelet-port", str(KUBELET_PORT), "--kubelet-certificate", str(pki / "node-a-kubelet.crt")]
        argv += ["--kubelet-key", str(pki / "node-a-kubelet.key"), "--client-ca", str(pki / "ca.crt")]
        argv += ["--cluster-dns", PLAN.dns, *options]
        env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{_API_PORT}",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "lab",
        }
        argv += ["--sweep-interval", "2", "--boot-warning", "3"]
        self.control.daemon("provider", argv, machine=PROVIDER_MACHINE, env=env, may_end=True)

    def restart_provider(self, *options: str, **cells: Any) -> None:
        """End it in order, and start it with another configuration."""
        self.kill_provider(signal.SIGTERM)
        self.configure(**cells)
        self.start_provider(*options)

    def kill_provider(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.control.signal(PROVIDER_MACHINE, "provider", number)
        self.control.wait_daemon(PROVIDER_MACHINE, "provider", within=10)

    def provider_log(self) -> str:
        return self.control.log_of(PROVIDER_MACHINE, "provider").read_text(errors="replace")

    def controller(self) -> str:
        """The provider's id, as its Secret has it."""
        found = self.api.find("Secret", f"kip-provider-{NODE}", "kube-system")
        assert found is not None
        return base64.b64decode(found["data"]["controller-id"]).decode()

    # -- pods

    def pod(self, name: str = "", *, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """A pod on the virtual node, as the API server has it."""
        self._number += 1
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name or f"pod-{self._number}",
                "namespace": "default",
                "annotations": annotations or {},
            },
            "spec": {
                "nodeName": NODE,
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 2,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": "none"}],
                **spec,
            },
        }
        return self.api.create(manifest)

    def get(self, pod: dict[str, Any]) -> dict[str, Any] | None:
        found = self.api.find("Pod", pod["metadata"]["name"], "default")
        return found if found and found["metadata"]["uid"] == pod["metadata"]["uid"] else None

    def status(self, pod: dict[str, Any]) -> dict[str, Any]:
        return (self.get(pod) or {}).get("status") or {}

    def wait_running(self, *pods: dict[str, Any], within: float = 30.0) -> list[dict[str, Any]]:
        """Until all run; returns their statuses."""
        for pod in pods:
            self.until(
                lambda pod=pod: self.status(pod).get("phase") == "Running", f"{pod['metadata']['name']} does not run",
                within=within,
            )  # fmt: skip
        return [self.status(pod) for pod in pods]

    def delete(self, *pods: dict[str, Any]) -> None:
        """Delete and wait until the objects and all their instances are gone."""
        for pod in pods:
            self.api.delete("Pod", pod["metadata"]["name"], "default")
        for pod in pods:
            self.until(lambda pod=pod: self.get(pod) is None, f"{pod['metadata']['name']} is still there")
        self.until(lambda: not any(self.instances(pod) for pod in pods), "an instance is left")

    def events(self, pod: dict[str, Any]) -> list[tuple[str, str]]:
        found = self.api.list("Event", "default")
        uid = pod["metadata"]["uid"]
        return [(one["reason"], one["message"]) for one in found if one["involvedObject"].get("uid") == uid]

    def wait_event(self, pod: dict[str, Any], reason: str, text: str = "", *, within: float = 20.0) -> str:
        found: list[str] = []

        def there() -> bool:
            found[:] = [message for name, message in self.events(pod) if name == reason and text in message]
            return bool(found)

        self.until(there, f"no event {reason} with {text!r}", within=within)
        return found[0]

    # -- the cloud

    def instances(self, pod: dict[str, Any], *states: str) -> list[dict[str, Any]]:
        """The pod's instances in these states, by default the living ones."""
        filters = [
            {"Name": "tag:KipPodUID", "Values": [pod["metadata"]["uid"]]},
            {"Name": "instance-state-name", "Values": list(states or ("pending", "running"))},
        ]
        found = self.ec2.describe_instances(Filters=filters)["Reservations"]
        return [one for group in found for one in group["Instances"]]

    def body(self, pod: dict[str, Any]) -> dict[str, Any]:
        """What the pod's agent was given last."""
        (instance,) = self.instances(pod)
        disk = self.control.folder.machine(instance["InstanceId"])
        return json.loads(next(disk.rglob("double-body.json")).read_text())

    def until(self, is_so: Callable[[], object], otherwise: str, *, within: float = 30.0) -> None:
        deadline = time.monotonic() + within
        while not is_so():
            self.control.check_daemons()
            assert time.monotonic() < deadline, f"{otherwise} (waited {within:g} s)\n{self.provider_log()[-3000:]}"
            time.sleep(0.05)


@contextmanager
def world_on(control: Control) -> Iterator[World]:
    """Stand it up on a bare supervisor; the provider is not started."""
    tools = provide(None, lambda line: print(line, file=sys.stderr))
    folder = control.folder
    control_plane.make_pki(folder, PLAN)
    for name in (CONTROL_PLANE.name, *(node.name for node in NODES)):
        prepare_machine(folder, name, {"/etc/hosts": "127.0.0.1 localhost\n"})
    url = start_cloud(control)
    ec2 = ec2_client(url)
    vpc = make_vpc(ec2, PLAN)
    wait_running(control, ec2, vpc.instances, within=30)
    control.daemon(
        "etcd", control_plane.etcd(tools["etcd"], folder.machine("control-plane") / "etcd"), machine="control-plane"
    )
    server = control_plane.api_server(tools["kube-apiserver"], folder.pki, PLAN)
    control.daemon("kube-apiserver", server, machine="control-plane")
    forwarder = [sys.executable, str(HERE / "cloud_forwarder.py"), machine_namespace(PROVIDER_MACHINE)]
    control.daemon("cloud-forwarder", [*forwarder, str(_API_PORT), url.rpartition(":")[2]])
    served = folder.path / "agent"
    served.mkdir()
    (served / f"itzo-{_DOUBLE}").write_bytes((HERE / "agent_double.py").read_bytes())
    web = [sys.executable, "-m", "http.server", "8000", "--directory", str(served)]
    control.daemon("web", web, machine="control-plane")
    world = World(control, tools, url, ec2, vpc, bring_up._offer_api(control, 10.0))
    world.until(world.api.is_ready, "the API server is not ready", within=60)
    account = {"name": "default", "namespace": "default"}
    _create(world.api, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    # The API server itself is a client of kubelets: the lab's own binding.
    _create(world.api, system_manifests("", PLAN)[0])
    for manifest in yaml.safe_load_all((MANIFESTS / "rbac.yaml").read_text()):
        _create(world.api, manifest)
    yield world


def _create(api: KubeApi, manifest: dict[str, Any]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            api.create(manifest)
            return
        except ApiRefusal as refusal:
            # Namespaces and roles are being made by the server itself.
            if refusal.status == 409:
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
