"""The profile of a run: what the cluster is said to have, and the budgets within which it must act.

Read from a YAML file and KEY=VALUE overrides; nothing here starts anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kip_conformance.infra.errors import UsageError

__all__ = ["BUDGETS", "LARGEST_CONFORMANT", "Profile", "load_profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Budgets in seconds, under the name of the set that they come from.

    `propagation`: from a change in the API until every node's dataplane follows it. `start`: from creating a pod until
    it is Ready. `probe_timeout`: how long one probe waits for its answer.

    `features` is what is declared of the cluster: every name without a sign replaces what the target declares of
    itself, `+name` and `-name` change that; see `declared`. `hurried` rows, by id, have the budgets of the set `fault`.
    """

    budget: str = "default"
    propagation: float = 10.0
    start: float = 60.0
    probe_timeout: float = 1.0
    features: tuple[str, ...] = ()
    hurried: tuple[str, ...] = ()

    def of_row(self, requirement: str) -> Profile:
        """The profile with the budgets that this row has."""
        return replace(BUDGETS["fault"], features=self.features) if requirement in self.hurried else self

    def declared(self, own: Collection[str]) -> frozenset[str]:
        """The declared features, where the target says `own` of itself."""
        plain = {name for name in self.features if name[0] not in "+-"}
        added = {name[1:] for name in self.features if name[0] == "+"}
        taken = {name[1:] for name in self.features if name[0] == "-"}
        return frozenset((plain or set(own)) | added) - taken

    @property
    def budgets(self) -> dict[str, float]:
        """The budgets alone, by name, in seconds."""
        return {key: float(value) for key, value in asdict(self).items() if isinstance(value, float)}

    @property
    def beyond_cap(self) -> tuple[str, ...]:
        """Budgets larger than a conformant run may have, by name; a report with any is partial."""
        return tuple(key for key, value in self.budgets.items() if value > LARGEST_CONFORMANT[key])


_FEATURE = re.compile(r"[+-]?[a-z][a-z0-9-]*")
_ROW = re.compile(r"[A-Z0-9]{3}-\d{2}")

# `fault` is for runs against a seeded defect, where rows are expected to be red: no wait may exceed 3 s.
BUDGETS: Mapping[str, Profile] = {
    "default": Profile(),
    "fault": Profile(budget="fault", propagation=2.0, start=20.0, probe_timeout=0.5),
}
LARGEST_CONFORMANT: Mapping[str, float] = {"propagation": 30.0, "start": 300.0, "probe_timeout": 5.0}


def load_profile(path: Path | None = None, overrides: Sequence[str] = ()) -> Profile:
    """The defaults, then the file's keys, then each `KEY=VALUE`. `budget` picks the set that the others start from.

    Raises UsageError, one line, for a file that cannot be read, an unknown key, or a value that is not a positive
    number of seconds.
    """
    values: dict[str, tuple[str, Any]] = {}
    if path is not None:
        values |= {key: (str(path), value) for key, value in _read(path).items()}
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator:
            raise UsageError(f"--profile {text}: expected KEY=VALUE, for example propagation=20")
        values[key] = (f"--profile {text}", value)
    known = [each.name for each in fields(Profile)]
    for key, (origin, _) in values.items():
        if key not in known:
            raise UsageError(f"{origin}: unknown profile key {key!r}; known: {', '.join(known)}")
    declared = _names(*values.pop("features", ("", ())), _FEATURE, "names, each plain, +added or -taken away")
    hurried = _names(*values.pop("hurried", ("", ())), _ROW, "ids of rows")
    origin, name = values.pop("budget", ("", "default"))
    if not isinstance(name, str) or name not in BUDGETS:
        raise UsageError(f"{origin}: unknown budget set {name!r}; known: {', '.join(BUDGETS)}")
    seconds: dict[str, Any] = {key: _seconds(key, *value) for key, value in values.items()}
    return replace(BUDGETS[name], features=declared, hurried=hurried, **seconds)


def _names(origin: str, value: object, form: re.Pattern[str], what: str) -> tuple[str, ...]:
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and form.fullmatch(name) for name in names):
        raise UsageError(f"{origin}: expected {what}, not {value!r}")
    return tuple(names)


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"profile {path}: cannot be read ({' '.join(str(error).split())})") from error
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise UsageError(f"profile {path}: must be a mapping of keys to values")
    return raw


def _seconds(key: str, origin: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise UsageError(f"{origin}: {key} must be a number of seconds above 0 and below a day, not {value!r}")
    return seconds
