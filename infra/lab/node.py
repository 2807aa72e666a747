"""A kubelet node's programs and their configuration: containerd, kubelet, kube-proxy.

Only what is started and how; the order of things is bring_up.py's, switching proxy modes is service_proxy.py's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from kip_conformance.infra.lab.cgroups import lab_group
from kip_conformance.infra.lab.control_plane import REGISTRY
from kip_conformance.infra.lab.plan import LabPlan, NodePlan
from kip_conformance.infra.lab.state import LabFolder

__all__ = ["NodeFiles"]

# Plug-ins of containerd that a lab never uses and that would create folders on the host or probe for devices.
_DISABLED = [
    "io.containerd.internal.v1.opt",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.internal.v1.tracing",
]


class NodeFiles:
    """The configuration files of one node, below its machine's disk."""

    def __init__(self, folder: LabFolder, node: NodePlan, plan: LabPlan) -> None:
        self.lab = folder
        self.node = node
        self.plan = plan
        self.disk = folder.machine(node.name)
        self.socket = self.disk / "containerd.sock"
        self.cni_conf = self.disk / "cni" / "net.d"
        self.cni_bin = self.disk / "cni" / "bin"

    def missing_socket(self) -> str:
        """Why kubelet cannot be started yet; nothing when it can."""
        return "" if self.socket.exists() else f"{self.socket} is not there"

    def containerd(self, program: Path, pause: str) -> list[str]:
        """Write containerd's configuration; returns the command. `pause` is the sandbox image with its digest."""
        hosts = self.disk / "registry" / REGISTRY
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(
            f'server = "https://{REGISTRY}"\n[host."https://{REGISTRY}"]\n'
            f'  capabilities = ["pull", "resolve"]\n  ca = "{self.lab.pki}/ca.crt"\n'
        )
        disabled = ", ".join(json.dumps(plugin) for plugin in _DISABLED)
        config = self.disk / "containerd.toml"
        # Version 2 is read by containerd 1.6 as it is and migrated by containerd 2.
        config.write_text(
            f"""version = 2
root = "{self.disk}/containerd"
state = "{self.disk}/containerd-state"
disabled_plugins = [{disabled}]
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Where the machine itself may not raise limits (no CAP_SYS_RESOURCE), asking for it would fail every container.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{self.cni_bin}"
    conf_dir = "{self.cni_conf}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{self.disk}/registry"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""
        )
        return [str(program), "--config", str(config), "--log-level", "warn"]

    def kubelet(self, program: Path) -> list[str]:
        """Write kubelet's configuration; returns the command."""
        pki, name = self.lab.pki, self.node.name
        config: dict[str, Any] = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/{name}-kubelet.crt",
            "tlsPrivateKeyFile": f"{pki}/{name}-kubelet.key",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{lab_group(self.lab.run_id)}/{name}",
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "failCgroupV1": False,
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "clusterDNS": [self.plan.dns],
            "clusterDomain": self.plan.domain,
            "resolvConf": str(self.disk / "resolv.conf"),
            "volumePluginDir": str(self.disk / "volume-plugins"),
            # The lab shares its disk with the machine under it: how full that is says nothing about the node.
            "evictionHard": dict.fromkeys(
                ("memory.available", "nodefs.available", "imagefs.available", "nodefs.inodesFree"), "0%"
            ),
            "imageGCHighThresholdPercent": 100,
            "localStorageCapacityIsolation": False,
            "registerNode": True,
            "serializeImagePulls": False,
            "nodeStatusUpdateFrequency": "4s",
            "syncFrequency": "10s",
        }
        path = self.disk / "kubelet.yaml"
        path.write_text(yaml.safe_dump(config))
        return [
            str(program),
            f"--config={path}",
            f"--kubeconfig={pki}/{name}.kubeconfig",
            f"--hostname-override={name}",
            f"--node-ip={self.node.address}",
            "--root-dir=/var/lib/kubelet",
            f"--cert-dir={self.disk}/kubelet-pki",
        ]

    def kube_proxy_config(self, mode: str) -> Path:
        """Write kube-proxy's configuration for a mode; returns its path."""
        config: dict[str, Any] = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": mode,
            # What is local is said by this node's own range: a single cluster range would masquerade pods outside it.
            "detectLocalMode": "NodeCIDR",
            "clientConnection": {"kubeconfig": f"{self.lab.pki}/kube-proxy.kubeconfig"},
            "hostnameOverride": self.node.name,
            "nodeIPOverride": [self.node.address],
            "healthzBindAddress": "0.0.0.0:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # Conntrack's limits are the host's: a lab leaves them alone.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "iptables": {"minSyncPeriod": "100ms"},
            "nftables": {"minSyncPeriod": "100ms"},
        }
        path = self.disk / f"kube-proxy-{mode}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def policy_agent(self) -> list[str]:
        """The command of the agent that enforces NetworkPolicies here."""
        command = [sys.executable, "-m", "kip_conformance.infra.provider.policies", "--nodename", self.node.name]
        return [*command, "--kubeconfig", f"{self.lab.pki}/kip-policy-agent.kubeconfig"]

    def system_files(self) -> dict[str, str]:
        """Files of the host that the machine must see otherwise, by path."""
        nobody = "# Pods have no resolver beyond the cluster's own.\n"
        (self.disk).mkdir(parents=True, exist_ok=True)
        (self.disk / "resolv.conf").write_text(nobody)
        # What is in no subnet is in no VPC either, and has no resolver of its own.
        return {"/etc/resolv.conf": f"nameserver {self.plan.resolver}\n" if self.node.subnet else nobody}
