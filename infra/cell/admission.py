"""What a pod may ask of a cell, which is one pod on one instance: what would reach the agent is refused.

Each refusal names its field. What cannot be had but harms nobody (a seccomp profile, for one) is listed in
docs/cell.md instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kip_conformance.infra.cell.problems import Refused

__all__ = ["VOLUME_KINDS", "check_pod"]

VOLUME_KINDS = ("configMap", "secret", "emptyDir", "downwardAPI", "projected")
_PROJECTED = ("configMap", "secret", "downwardAPI", "serviceAccountToken")
_SAFE_SYSCTLS = ("net.",)
# Each of these is a way out of a container that shares the machine's user namespace.
_DANGEROUS = frozenset(
    (
        *("ALL", "AUDIT_CONTROL", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "MAC_ADMIN", "MAC_OVERRIDE"),
        *("PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO", "SYS_TIME"),
    )
)


def check_pod(pod: Mapping[str, Any], *, has_pod_network: bool) -> None:
    """Raises Refused (400) with the first field that a cell cannot serve."""
    spec = pod.get("spec")
    if not isinstance(spec, dict) or not pod.get("metadata", {}).get("uid"):
        raise Refused(400, "pod: a v1 Pod with metadata.uid and spec is needed")
    if not spec.get("containers"):
        raise Refused(400, "spec.containers: at least one is needed")
    for where, why in _unsupported(spec, has_pod_network=has_pod_network):
        raise Refused(400, f"{where}: {why}")


def _unsupported(spec: Mapping[str, Any], *, has_pod_network: bool) -> Iterator[tuple[str, str]]:
    for name in ("hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(name):
            yield f"spec.{name}", "a cell has no such namespace to share"
    if bool(spec.get("hostNetwork")) == has_pod_network:
        need = "no pod address" if spec.get("hostNetwork") else "a pod address"
        yield "spec.hostNetwork", f"the cell was not started for this: it needs {need} in its settings"
    if spec.get("hostUsers") is False:
        yield "spec.hostUsers", "user namespaces are not made here"
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        yield "spec.os.name", "a cell runs Linux"
    for number, sysctl in enumerate((spec.get("securityContext") or {}).get("sysctls") or ()):
        if spec.get("hostNetwork") or not sysctl.get("name", "").replace("/", ".").startswith(_SAFE_SYSCTLS):
            yield f"spec.securityContext.sysctls[{number}]", f"{sysctl.get('name')} is not the pod's own"
    for number, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(f"spec.volumes[{number}]", volume)
    for kind in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(kind) or ()):
            yield from _container(f"spec.{kind}[{number}]", container)


def _volume(where: str, volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kinds = [key for key in volume if key != "name"]
    for kind in kinds:
        if kind not in VOLUME_KINDS:
            yield f"{where}.{kind}", f"a cell has {', '.join(VOLUME_KINDS)} only"
    for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for kind in source:
            if kind not in _PROJECTED:
                yield f"{where}.projected.sources[{number}].{kind}", f"a cell projects {', '.join(_PROJECTED)} only"
    if ((volume.get("emptyDir") or {}).get("medium") or "Memory") != "Memory":
        yield f"{where}.emptyDir.medium", "a cell has the disk and Memory"


def _container(where: str, container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    security = container.get("securityContext") or {}
    if security.get("privileged"):
        yield f"{where}.securityContext.privileged", "a container with all rights could read the agent's key"
    for name in (security.get("capabilities") or {}).get("add") or ():
        if str(name).upper().removeprefix("CAP_") in _DANGEROUS:
            yield f"{where}.securityContext.capabilities.add", f"{name} would be a way to the agent"
    if security.get("procMount") == "Unmasked":
        yield f"{where}.securityContext.procMount", "Unmasked would be a way to the machine's settings"
    for name in ("volumeDevices",):
        if container.get(name):
            yield f"{where}.{name}", "a cell has no devices"
    for group in ("limits", "requests"):
        for name in (container.get("resources") or {}).get(group) or {}:
            if name not in ("cpu", "memory", "ephemeral-storage"):
                yield f"{where}.resources.{group}.{name}", "a cell has cpu and memory"
