"""A pod's address sits on its loopback, not on its interface: it answers, but sees itself unlike others see it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.faults.tampering import inside_pod, place
from kip_conformance.infra.machines.commands import run_checked
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(lab: LabCluster) -> Iterator[None]:
    victim = place(lab, "node-a")
    machine, enter = lab.machines[victim.machine], inside_pod(lab.machines[victim.machine], victim.address)
    shown = run_checked(machine, [*enter, "ip", "-o", "-4", "addr", "show", "dev", "eth0"]).decode()
    with_length = next(word for word in shown.split() if word.startswith(f"{victim.address}/"))
    table = run_checked(machine, [*enter, "ip", "-o", "route", "show"]).decode().splitlines()
    # A route through a gateway needs the gateway's own route first.
    routes = sorted((line.split() for line in table), key=lambda words: "via" in words)

    def move(add: list[str], remove: list[str]) -> None:
        run_checked(machine, [*enter, "ip", "addr", "add", *add])
        run_checked(machine, [*enter, "ip", "addr", "del", *remove])
        for route in routes:  # those that prefer the address as source went with it
            run_checked(machine, [*enter, "ip", "route", "replace", *route])

    on_interface, on_loopback = [with_length, "dev", "eth0"], [f"{victim.address}/32", "dev", "lo"]
    move(on_loopback, on_interface)
    try:
        yield
    finally:
        move([*on_interface, "noprefixroute"], on_loopback)


FAULT = Fault(
    name="address-not-on-interface",
    sentence="node-a's interface does not carry its podIP, its loopback does",
    plant=_plant,
    kills=("IDN-02",),
)
