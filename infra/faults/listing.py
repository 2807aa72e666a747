"""`python -m kip_conformance.infra.faults.listing > docs/fault-list.md`: the page of every fault, from the code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kip_conformance.infra.faults.fault import Fault, find_faults

__all__ = ["page"]

_HEAD = """# All faults

Made by `python -m kip_conformance.infra.faults.listing`. What the columns mean: [faults.md](faults.md).

| fault | the defect | must turn red | may redden too |
|---|---|---|---|
"""


def page(faults: Sequence[Fault]) -> str:
    """A Markdown page with a table of these faults."""
    return _HEAD + "".join(_row(fault) for fault in faults)


def _row(fault: Fault) -> str:
    link = f"[{fault.name}](../infra/faults/seeded/{fault.name.replace('-', '_')}.py)"
    must = ", ".join(fault.kills) or _demand(fault)
    may = ", ".join(fault.may_redden) or ("others may be harness-errors" if fault.blinds else "")
    return f"| {link} | {fault.sentence} | {must} | {may} |\n"


def _demand(fault: Fault) -> str:
    """What is asked for where no row has to go red."""
    if fault.is_tolerated:
        return "nothing: harness-errors at most" if fault.blinds else "nothing: everything stays green"
    return "nothing: at least one harness-error, no fail"


if __name__ == "__main__":
    sys.stdout.write(page(find_faults()))
