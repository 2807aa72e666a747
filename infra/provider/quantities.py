"""Resource quantities, such as 500m, 2Gi or 1e3 ("Kubernetes API conventions, resource quantities")."""

from __future__ import annotations

import re

__all__ = ["quantity"]

_FORM = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[KMGTPE]i|[numkMGTPE]|)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def quantity(text: str) -> float:
    """The number that a quantity means. Raises ValueError when it is none."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no quantity, such as 500m, 2 or 4Gi")
    number, suffix = float(found[1]), found[2]
    if suffix in _BINARY:
        return number * 2.0 ** _BINARY[suffix]
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return number * 10.0**exponent
