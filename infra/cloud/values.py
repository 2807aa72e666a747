"""Frozen dataclasses of plain values from what their JSON holds: tuples, mappings, nested dataclasses, None."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

__all__ = ["built"]


def built(kind: Any, value: Any) -> Any:
    """A value of the type `kind`. Raises KeyError, TypeError or AttributeError for what is none."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{name: built(hints[name], one) for name, one in value.items()})
    if origin is tuple:
        inner = typing.get_args(kind)
        return tuple(built(inner[0], one) for one in value)
    if origin is types.UnionType:
        chosen = next(one for one in typing.get_args(kind) if one is not type(None))
        return None if value is None else built(chosen, value)
    return value
