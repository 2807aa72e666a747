"""Files that every container of a pod sees: /etc/hosts, /etc/hostname, /etc/resolv.conf, as kubelet writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["host_name", "hosts_file", "resolv_conf"]

_LONGEST_NAME = 63


def host_name(pod: Mapping[str, Any], machine: str) -> str:
    """The pod's hostname: spec.hostname, else its name, cut; on the host network the machine's."""
    spec, name = pod["spec"], str(pod["metadata"].get("name", "pod"))
    if spec.get("hostNetwork"):
        return machine
    return str(spec.get("hostname") or name[:_LONGEST_NAME].rstrip("-."))


def hosts_file(pod: Mapping[str, Any], pod_ip: str, domain: str, machine_file: str) -> str:
    """`machine_file` is the machine's /etc/hosts, what a pod on the host network starts from."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        text = f"# Kubernetes-managed hosts file (host network).\n{machine_file}"
    else:
        name, namespace = host_name(pod, ""), pod["metadata"].get("namespace", "default")
        full = f"{name}.{spec['subdomain']}.{namespace}.svc.{domain}\t" if spec.get("subdomain") else ""
        text = (
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
            f"{pod_ip}\t{full}{name}\n"
        )
    aliases = [f"{one['ip']}\t{chr(9).join(one.get('hostnames') or ())}\n" for one in spec.get("hostAliases") or ()]
    if aliases:
        text += "\n# Entries added by HostAliases.\n" + "".join(aliases)
    return text


def resolv_conf(wanted: Mapping[str, Any]) -> str:
    """`wanted` has nameservers, searches and options, each a list of words."""
    lines = [f"search {' '.join(wanted['searches'])}\n"] if wanted.get("searches") else []
    lines += [f"nameserver {one}\n" for one in wanted.get("nameservers") or ()]
    if wanted.get("options"):
        lines.append(f"options {' '.join(wanted['options'])}\n")
    return "".join(lines)
