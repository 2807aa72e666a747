"""How fast the probing engine is by itself: probers as local processes, no cluster and no exec stream.

    .venv/bin/python benchmarks/matrix_local.py [--probers 9] [--loopback] [--rounds 15] [--json]

As root the probers sit in network namespaces of their own, joined by a bridge in one more; without root, or with
--loopback, on loopback addresses. Prints the matrix of all pairs on two ports over TCP and UDP (medians), the same with
everything dropped, and how many probes a second go through when batches are long, with the number of wrong answers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from kip_conformance.infra.probe import prober
from kip_conformance.infra.probe.driver import Driver, ProbeTarget
from kip_conformance.infra.targets.protocol import Place

PROBER = [sys.executable, "-I", "-S", str(Path(prober.__file__).resolve())]
PORTS = (28080, 28081)
SILENT = "198.18.255.254"  # RFC 2544's range: in a namespace's subnet, and nobody has it


class Held:
    def __init__(self, argv: Sequence[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


class Room:
    """A network namespace, or this machine's own, as a Machine."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self.name, self.addresses, self.prefix = "room", (), tuple(prefix)

    def open(self, argv: Sequence[str]) -> Held:
        return Held([*self.prefix, *argv])


@contextlib.contextmanager
def namespaces(count: int) -> Iterator[list[tuple[list[str], str]]]:
    """(command prefix, address) for each of `count` namespaces on one bridge; all are removed at the end."""
    tag = f"kipbench{os.getpid()}"
    hub = f"{tag}h"
    names = [f"{tag}n{number}" for number in range(count)]
    lines = [f"netns add {name}" for name in (hub, *names)]
    try:
        _ip(lines)
        _ip([f"-n {hub} link add name bridge0 type bridge", f"-n {hub} link set dev bridge0 up"], one_by_one=True)
        for number, name in enumerate(names):
            _ip(
                [
                    f"-n {hub} link add name v{number} type veth peer name eth0 netns {name}",
                    f"-n {hub} link set dev v{number} master bridge0 up",
                    f"-n {name} link set dev lo up",
                    f"-n {name} link set dev eth0 up",
                    f"-n {name} address add 198.18.0.{number + 1}/16 dev eth0",
                    # A permanent neighbour that does not exist: packets leave and nobody answers, as when dropped.
                    f"-n {name} neighbour add {SILENT} lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
                ],
                one_by_one=True,
            )
        # nsenter rather than `ip netns exec`, which would hide /sys.
        yield [(["nsenter", f"--net=/run/netns/{name}"], f"198.18.0.{number + 1}") for number, name in enumerate(names)]
    finally:
        for name in (hub, *names):
            subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def _ip(lines: Sequence[str], *, one_by_one: bool = False) -> None:
    if one_by_one:
        for line in lines:
            subprocess.run(["ip", *line.split()], check=True)
    else:
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@contextlib.contextmanager
def village(rooms: Sequence[tuple[list[str], str]], folder: Path) -> Iterator[tuple[list[Place], dict[str, Room]]]:
    """A prober in each room."""
    processes, places, machines = [], [], {}
    try:
        for number, (prefix, address) in enumerate(rooms):
            name = f"p{number}"
            # In namespaces all listen on the same ports; on one machine each needs its own.
            ports = PORTS if prefix else tuple(port + 2 * number for port in PORTS)
            socket = str(folder / f"{name}.sock")
            argv = [*prefix, *PROBER, "serve", "--name", name, "--socket", socket]
            argv += [word for port in ports for word in ("--port", str(port))]
            processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE))
            places.append(Place(name, "host", name, address, (address,), ports, socket))
            machines[name] = Room(prefix)
        for process in processes:
            assert process.stdout is not None
            if b"ready" not in process.stdout.readline():
                raise SystemExit("a prober did not start")
        yield places, machines
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def matrix(driver: Driver, repeat: int = 1) -> tuple[float, Counter[str], int]:
    """(seconds, kinds, wrong answers) of every ordered pair, itself included, on both ports over TCP and UDP."""
    places = driver.places
    targets = [
        ProbeTarget(f"{place.name}-{protocol}-{port}-{turn}", place.address, port, protocol, (place.name,), port)
        for turn in range(repeat)
        for place in places
        for port in place.ports
        for protocol in ("tcp", "udp")
    ]
    start = time.perf_counter()
    grid = driver.all(places, targets, "tcp", timeout=5.0 if repeat > 1 else 1.0)
    elapsed = time.perf_counter() - start
    wrong = sum(
        not observation.is_open or observation.peer != pair[1].split("-")[0] for pair, observation in grid.items()
    )
    return elapsed, Counter(observation.kind for observation in grid.values()), wrong


def dropped(driver: Driver, address: str) -> tuple[float, Counter[str]]:
    """The same number of probes at an address that never answers, timeout 1 s; the peers vouch as ever."""
    targets = [
        ProbeTarget(f"{place.name}-{protocol}-{port}", address, port, protocol, (place.name,), port)
        for place in driver.places
        for port in place.ports
        for protocol in ("tcp", "udp")
    ]
    start = time.perf_counter()
    grid = driver.all(driver.places, targets, "tcp", timeout=1.0)
    return time.perf_counter() - start, Counter(observation.kind for observation in grid.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--probers", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--loopback", action="store_true", help="no namespaces")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    is_apart = os.geteuid() == 0 and not arguments.loopback
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if is_apart:
            rooms = stack.enter_context(namespaces(arguments.probers))
        else:
            rooms = [([], f"127.0.0.{10 + number}") for number in range(arguments.probers)]
        places, machines = stack.enter_context(village(rooms, folder))
        start = time.perf_counter()
        driver = stack.enter_context(Driver(places, machines, Path("none"), host_prober=PROBER))  # type: ignore[arg-type]
        driver.open()
        found["open channels, ms"] = round((time.perf_counter() - start) * 1000)
        matrix(driver)
        runs = [matrix(driver) for _ in range(arguments.rounds)]
        found["matrix, probes"] = sum(runs[0][1].values())
        found["matrix, ms (median)"] = round(statistics.median(run[0] for run in runs) * 1000, 1)
        found["matrix, wrong"] = sum(run[2] for run in runs)
        if is_apart:
            runs_dropped = [dropped(driver, SILENT) for _ in range(3)]
            found["all dropped, ms (median)"] = round(statistics.median(run[0] for run in runs_dropped) * 1000)
            found["all dropped, kinds"] = dict(runs_dropped[0][1])
        repeat = max(1, round(10_000 / (4 * len(places) ** 2)))
        rates = []
        for _ in range(5):
            seconds, kinds, wrong = matrix(driver, repeat)
            rates.append((sum(kinds.values()) / seconds, sum(kinds.values()), wrong))
        found["long batches, probes"] = rates[0][1]
        found["long batches, probes/s (median)"] = round(statistics.median(rate[0] for rate in rates))
        found["long batches, wrong"] = sum(rate[2] for rate in rates)
        stats = [driver.stats(place) for place in places]
        found["prober, MiB (largest)"] = round(max(stat.rss for stat in stats) / 2**20, 1)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:32} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
