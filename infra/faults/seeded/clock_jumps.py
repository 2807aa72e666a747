"""The wall clock of the processes that run the suites jumps by an hour before every check, forth and back.

It is what they are told that jumps: a real change of CLOCK_REALTIME would be one of the whole machine, because Linux
has namespaces for the monotonic and boot-time clocks alone. What the interpreter's C code reads (TLS, for one) is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kip_conformance.infra.faults.fault import Fault
from kip_conformance.infra.targets.lab import LabCluster


@contextlib.contextmanager
def _plant(_lab: LabCluster) -> Iterator[None]:
    yield


FAULT = Fault(
    name="clock-jumps",
    sentence="the wall clock of the suites' processes jumps by an hour before every check",
    plant=_plant,
    is_tolerated=True,
    options=("-p", "kip_conformance.infra.faults.jumping_clock"),
)
