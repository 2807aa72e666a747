"""Finds targets by name: a module in this package that has a function `create(options) -> Target` is one.

A target is added by adding a file; nothing has to be listed here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.util import find_spec

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.protocol import Target

__all__ = ["create_target", "known_targets"]


def create_target(name: str, options: TargetOptions) -> Target:
    """The target called `name`; nothing is started. Raises UsageError for a name that is not in `known_targets()`."""
    create = _creator(name)
    if create is None:
        raise UsageError(f"cluster {name!r}: unknown target; known: {', '.join(known_targets())}")
    return create(options)


def known_targets() -> tuple[str, ...]:
    """Every target's name, sorted. Imports all of them: for messages and help only."""
    names = (module.name for module in pkgutil.iter_modules(importlib.import_module(str(__package__)).__path__))
    return tuple(sorted(name for name in names if _creator(name) is not None))


def _creator(name: str) -> Callable[[TargetOptions], Target] | None:
    qualified = f"{__package__}.{name}"
    if not name.isidentifier() or find_spec(qualified) is None:
        return None
    create: Callable[[TargetOptions], Target] | None = getattr(importlib.import_module(qualified), "create", None)
    return create
