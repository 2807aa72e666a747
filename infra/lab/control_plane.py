"""The control plane's programs and their flags: etcd, the API server, controller-manager, scheduler, and the registry.

Only what is started and how; the order of things is bring_up.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from kip_conformance.infra.lab.pki import Authority, write_kubeconfig
from kip_conformance.infra.lab.plan import CONTROL_PLANE, NODES, LabPlan, NodePlan
from kip_conformance.infra.lab.state import LabFolder

__all__ = [
    "API_PORT",
    "REGISTRY",
    "api_server",
    "controller_manager",
    "etcd",
    "make_pki",
    "registry_config",
    "scheduler",
]

API_PORT = 6443
REGISTRY_PORT = 5000
REGISTRY = f"{CONTROL_PLANE.address}:{REGISTRY_PORT}"

# Certificate file -> (common name, groups). Names and groups are those that Kubernetes' own RBAC defaults bind.
_CLIENTS: Mapping[str, tuple[str, Sequence[str]]] = {
    "admin": ("kip-conformance-admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "kube-proxy": ("system:kube-proxy", ()),
    "api-server-to-kubelet": ("kube-apiserver-kubelet-client", ()),
    # By the name that its ServiceAccount has: what it may do is what its manifest says.
    "kip-provider": ("system:serviceaccount:kube-system:kip-provider", ()),
    "kip-policy-agent": ("kip-policy-agent", ()),
}


def make_pki(folder: LabFolder, plan: LabPlan, nodes: Sequence[NodePlan] = NODES) -> None:
    """Write every certificate, key and kubeconfig of the lab and its kubelet nodes below its pki folder."""
    authority = Authority.create(folder.pki, f"kip-conformance {folder.run_id}")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{plan.domain}"]
    authority.issue(
        "api-server",
        "kube-apiserver",
        names=[*names, "localhost", "127.0.0.1", CONTROL_PLANE.address, plan.kubernetes_service],
    )
    authority.issue("registry", "registry", names=[CONTROL_PLANE.address])
    authority.issue_key("service-account")
    for node in nodes:
        authority.issue(f"{node.name}-kubelet", node.name, names=[node.name, node.address])
    server = f"https://{CONTROL_PLANE.address}:{API_PORT}"
    clients = {**_CLIENTS, **{node.name: (f"system:node:{node.name}", ("system:nodes",)) for node in nodes}}
    for file, (common_name, groups) in clients.items():
        authority.issue(file, common_name, groups=groups)
        write_kubeconfig(
            folder.pki / f"{file}.kubeconfig",
            server,
            folder.pki / "ca.crt",
            folder.pki / f"{file}.crt",
            folder.pki / f"{file}.key",
        )


def etcd(program: Path, data: Path) -> list[str]:
    # A lab's data never outlives it, so that waiting for the disk buys nothing.
    return [
        str(program),
        f"--data-dir={data}",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def api_server(program: Path, pki: Path, plan: LabPlan) -> list[str]:
    return [
        str(program),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--bind-address={CONTROL_PLANE.address}",
        f"--advertise-address={CONTROL_PLANE.address}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={pki}/api-server.crt",
        f"--tls-private-key-file={pki}/api-server.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/service-account.key",
        f"--service-account-signing-key-file={pki}/service-account.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{plan.domain}",
        f"--service-cluster-ip-range={plan.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-client-certificate={pki}/api-server-to-kubelet.crt",
        f"--kubelet-client-key={pki}/api-server-to-kubelet.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def controller_manager(program: Path, pki: Path) -> list[str]:
    # Node ranges come from the lab's plan: the controller would refuse one outside of a single cluster range.
    return [
        str(program),
        f"--kubeconfig={pki}/controller-manager.kubeconfig",
        f"--service-account-private-key-file={pki}/service-account.key",
        f"--root-ca-file={pki}/ca.crt",
        "--use-service-account-credentials=true",
        # At the default of 20 a second, making the controllers' own accounts alone takes five seconds.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--allocate-node-cidrs=false",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def scheduler(program: Path, pki: Path) -> list[str]:
    return [
        str(program),
        f"--kubeconfig={pki}/scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def registry_config(path: Path, images: Path, pki: Path) -> None:
    """Write the registry's configuration: the image cache itself, served over TLS, never written to."""
    path.write_text(
        yaml.safe_dump(
            {
                "version": "0.1",
                "log": {"level": "warn"},
                "storage": {
                    "filesystem": {"rootdirectory": str(images)},
                    "maintenance": {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}},
                },
                "http": {
                    "addr": REGISTRY,
                    "secret": "nothing is uploaded",
                    "tls": {"certificate": f"{pki}/registry.crt", "key": f"{pki}/registry.key"},
                },
            }
        )
    )
