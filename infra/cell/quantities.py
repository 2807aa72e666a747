"""Amounts as Kubernetes writes them ("Kubernetes API reference, Quantity"): 250m, 1.5, 64Mi, 1e3."""

from __future__ import annotations

import re
from typing import Any

from kip_conformance.infra.cell.problems import CellProblem

__all__ = ["bytes_of", "cores_of", "quantity"]

_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_SUFFIXES |= {"E": 10**18} | {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}


def quantity(value: Any) -> float:
    """The number that it means; whole ones are exact, however large. Raises ValueError when it means none."""
    found = _FORM.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value!r} is no quantity; use a form like 250m, 2 or 64Mi")
    suffix = _SUFFIXES[found[3] or ""]
    number = found[1] + (found[2] or "")
    return int(number) * suffix if number.lstrip("+-").isdigit() else float(number) * suffix


def bytes_of(value: Any) -> int:
    """Rounded up. Raises CellProblem."""
    amount = cores_of(value)
    return int(amount) if amount == int(amount) else int(amount) + 1


def cores_of(value: Any) -> float:
    """Raises CellProblem."""
    try:
        return quantity(value)
    except ValueError as error:
        raise CellProblem(str(error)) from None
