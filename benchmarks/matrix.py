"""A full matrix of nine pods over held exec streams, open and dropped, beside one exec for each probe.

The streams, the execs and the drop rules are of one real cluster, and every round measures all of them in turn.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.targets.protocol import Completed, Machine, Place

from benchmarks import one_exec_each
from benchmarks.probing import all_denied, all_open, judged
from benchmarks.session import Session

__all__ = ["ABOUT", "NEEDS_ROOT", "drop_rules", "dropped", "run"]

ABOUT = "9 pods x 2 ports x {TCP, UDP} over held exec streams, and by one exec for each probe"
NEEDS_ROOT = True

TIMEOUT = 1.0
_TABLE = "inet kip_bench_drop"


def run(session: Session) -> None:
    """Adds the figures of every round, and the ratios of the medians as notes."""
    figures, kubeconfig = session.figures, Path(session.cluster.description.kubeconfig)
    with session.driver() as driver:
        judged(all_open(driver))  # neighbour tables and caches of the new pods are filled
    for _ in session.each_round("matrix"):
        with session.driver() as driver:
            start = time.perf_counter()
            driver.open()
            figures.add("open 9 exec streams", (time.perf_counter() - start) * 1000, "ms")
            held = judged(all_open(driver))
            figures.add(f"{held.probes} probes, all open, held streams", held.seconds * 1000, "ms", target=150)
            with dropped(session):
                cut = judged(all_denied(driver, timeout=TIMEOUT))
                limit = (TIMEOUT + 0.25) * 1000
                figures.add(f"{cut.probes} probes, all dropped, held streams", cut.seconds * 1000, "ms", target=limit)
                peer = judged(one_exec_each.matrix(kubeconfig, session.pods, is_open=False, timeout=TIMEOUT))
                figures.add(f"{peer.probes} probes, all dropped, one exec each", peer.seconds * 1000, "ms")
            peer = judged(one_exec_each.matrix(kubeconfig, session.pods, is_open=True))
            figures.add(f"{peer.probes} probes, all open, one exec each", peer.seconds * 1000, "ms")
            empty = judged(one_exec_each.nothing(kubeconfig, session.pods))
            figures.add(f"{empty.probes} execs of a program that does nothing", empty.seconds * 1000, "ms")
    for state in ("open", "dropped"):
        held_ms, peer_ms = (
            next(figure.median for name, figure in figures.all.items() if name.endswith(f"all {state}, {way}"))
            for way in ("held streams", "one exec each")
        )
        figures.note(f"one exec each / held streams, all {state}", round(peer_ms / held_ms, 1))


@contextlib.contextmanager
def dropped(session: Session) -> Iterator[None]:
    """Drop what is sent to the nine pods' listeners, without a word: on the nodes, and in a pod what it sends itself.

    What a pod sends to its own address never reaches its node. Loopback stays open: the controls go there.
    """
    with contextlib.ExitStack() as stack:
        for name in sorted({place.machine for place in session.pods}):
            machine = session.cluster.machines[name]
            stack.callback(_everywhere, machine, f"delete table {_TABLE}", must=False)
            _everywhere(machine, drop_rules(session.pods))
        yield


def drop_rules(places: Sequence[Place]) -> str:
    """nft commands that drop what is sent to the listeners of these places, and nothing else."""
    addresses = ", ".join(place.address for place in places)
    ports = ", ".join(str(port) for port in places[0].ports)
    match = f"ip daddr {{ {addresses} }} meta l4proto {{ tcp, udp }} th dport {{ {ports} }} drop"
    chains = "\n".join(
        f"chain {hook} {{\ntype filter hook {hook} priority -10\n{match}\n}}" for hook in ("forward", "input")
    )
    return f"table {_TABLE} {{\n{chains}\n}}\n"


def _everywhere(machine: Machine, commands: str, *, must: bool = True) -> None:
    """Run nft on a machine and in every network namespace on it."""
    script = 'nft -f "$0" && for ns in /run/netns/*; do nsenter --net="$ns" nft -f "$0"; done'
    rules = 'f=$(mktemp) && cat > "$f" && sh -ec \'' + script + '\' "$f"; code=$?; rm -f "$f"; exit $code'
    done: Completed = machine.run(["sh", "-c", rules], stdin=commands.encode())
    if must and done.returncode != 0:
        raise HarnessError(f"{machine.name}: nft failed: {done.stderr.decode(errors='replace').strip()}")
