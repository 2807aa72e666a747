"""The tools that faults plant with: nftables tables of their own, on a machine or inside a pod's network namespace."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.lab.plan import NODES
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import Machine, Place

__all__ = [
    "dropped_untranslated",
    "inside_pod",
    "nft_table",
    "place",
    "pod_range",
    "rewritten_file",
    "run_in_pod",
    "signal_prober",
]


def place(lab: LabCluster, name: str) -> Place:
    """The place by name. Raises StopIteration when there is none: faults name places of the foundation."""
    return next(each for each in lab.places if each.name == name)


def pod_range(machine: str) -> str:
    """The range of a node's pods."""
    return next(node.pod_cidr for node in NODES if node.name == machine)


def run_in_pod(lab: LabCluster, pod: Place, argv: list[str]) -> bytes:
    """Output of a command that must succeed in a pod's container. Raises HarnessError with what it said."""
    if pod.pod is None:
        raise HarnessError(f"place {pod.name} is no pod")
    kubectl = [str(lab.description.details["kubectl"]), "--kubeconfig", lab.description.kubeconfig]
    done = lab.control.run([*kubectl, "-n", pod.pod.namespace, "exec", pod.pod.name, "--", *argv])
    if done.returncode != 0:
        raise HarnessError(f"{pod.name}: {' '.join(argv)} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


@contextlib.contextmanager
def rewritten_file(lab: LabCluster, pod: Place, file: str, script: str) -> Iterator[None]:
    """A file of a pod's container holds what the shell command `script` prints, which reads the sound one as input.

    It is written in place: such a file may be a mount of its own, which cannot be replaced.
    """
    aside = f"/run/{file.rpartition('/')[2]}.sound"
    run_in_pod(lab, pod, ["busybox", "sh", "-c", f"cat {file} > {aside} && {script} < {aside} > {file}"])
    try:
        yield
    finally:
        run_in_pod(lab, pod, ["busybox", "sh", "-c", f"cat {aside} > {file} && rm {aside}"])


def signal_prober(lab: LabCluster, pod: Place, name: str) -> None:
    """Send a signal, by name without SIG, to the resident prober of a pod. Raises HarnessError when there is none."""
    # From the machine: the first process of a container takes no such signal from inside it.
    run_checked(lab.machines[pod.machine], ["pkill", f"-{name}", "-f", f"prober.py serve --name {pod.name} "])


@contextlib.contextmanager
def nft_table(machine: Machine, chains: str, *, enter: tuple[str, ...] = (), family: str = "ip") -> Iterator[None]:
    """A table of its own with these chains for the length of the block; `enter` is a command prefix (nsenter)."""
    rules = f"table {family} kip_fault {{\n{chains}\n}}\n"
    run_checked(machine, [*enter, "nft", "-f", "-"], stdin=rules.encode())
    try:
        yield
    finally:
        run_checked(machine, [*enter, "nft", "delete", "table", family, "kip_fault"])


def inside_pod(machine: Machine, address: str) -> tuple[str, ...]:
    """The command prefix that enters the network namespace of the pod with this address on this machine."""
    script = (
        "for ns in /run/netns/*; do"
        ' nsenter --net="$ns" ip -j -4 addr 2>/dev/null | grep -q "\\"local\\":\\"$0\\"" && echo "$ns" && exit 0;'
        " done; exit 1"
    )
    done = machine.run(["sh", "-c", script, address])
    namespace = done.stdout.decode().strip()
    if done.returncode != 0 or not namespace:
        raise HarnessError(f"{machine.name}: no pod's network namespace has {json.dumps(address)}")
    return ("nsenter", f"--net={namespace}")


def dropped_untranslated(machine: Machine, match: str) -> AbstractContextManager[None]:
    """What matches is dropped, from others and from the machine itself, before a service proxy translates it.

    New flows alone: a masquerade chooses any source port, and a reply to that is not what a rule by numbers means.
    """
    rule = f"ct state new {match} drop"
    chains = (
        f"chain prerouting {{ type filter hook prerouting priority mangle; policy accept; {rule}; }}\n"
        f"chain output {{ type filter hook output priority mangle; policy accept; {rule}; }}"
    )
    return nft_table(machine, chains)
