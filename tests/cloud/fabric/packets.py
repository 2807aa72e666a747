"""Ask the simulated network by packets: from which machine, to which address, by which protocol, and what happened."""

from __future__ import annotations

import json
import os
import select
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kip_conformance.infra.fabric.names import machine_namespace
from kip_conformance.infra.lab.control import Control

SOCKETS = Path(__file__).with_name("sockets.py")


@dataclass(frozen=True)
class Probe:
    """`machine` asks `to`.

    `protocol`: tcp, udp (of `size` bytes, which may be fragmented), icmp, raw (`port` is the number), or size (`size`
    bytes in all, which must not be fragmented), or mss (tcp, with the size of its segments).
    """

    machine: str
    to: str
    protocol: str = "tcp"
    port: int = 80
    source: str = ""
    size: int = 0
    ttl: int = 0
    where: str = ""
    source_port: int = 0

    def asked(self) -> dict[str, Any]:
        return {
            "where": self.where or machine_namespace(self.machine),
            "to": self.to,
            "protocol": self.protocol,
            "port": self.port,
            "source": self.source,
            "size": self.size,
            "ttl": self.ttl,
            "source_port": self.source_port,
        }


@dataclass
class Packets:
    """The sockets' process in one lab. `probe` answers in the order of the probes."""

    control: Control
    _held: Any = field(default=None)

    def __post_init__(self) -> None:
        self._held = self.control.open(["/usr/bin/python3", str(SOCKETS)], stderr=2)
        self._read = b""

    def close(self) -> None:
        self._held.close()

    def listen(self, machine: str, protocol: str, port: int, *, where: str = "", address: str = "0.0.0.0") -> None:
        place = where or machine_namespace(machine)
        self._ask(do="listen", where=place, protocol=protocol, port=port, address=address)

    def probe(self, *probes: Probe, within: float = 1.0) -> list[str]:
        """Outcomes in the order of the probes; what was not answered `within` seconds is silent."""
        return self._ask(do="probe", probes=[one.asked() for one in probes], within=within)

    def keep(self, name: str, machine: str, to: str, port: int, protocol: str = "tcp") -> str:
        """Open a connection that stays: answered, silent, or how it was refused."""
        return self._ask(do="keep", name=name, where=machine_namespace(machine), to=to, port=port, protocol=protocol)

    def say(self, name: str, *, within: float = 5.0) -> str:
        """Send on a kept connection: answered, silent for `within` seconds, or how it broke."""
        return self._ask(do="say", name=name, within=within)

    def drop(self, name: str) -> None:
        self._ask(do="drop", name=name)

    def _ask(self, **wanted: Any) -> Any:
        os.write(self._held.stdin, json.dumps(wanted).encode() + b"\n")
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._held.stdout], [], [], 20)
            part = os.read(self._held.stdout, 65536) if ready else b""
            assert part, "the process with the sockets ended or hangs"
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        answer = json.loads(line)
        assert "error" not in answer, f"{wanted}: {answer['error']}"
        return answer["answer"]
