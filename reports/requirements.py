"""The requirement registry: reads suites/requirements.yaml into frozen values and refuses what is not exact.

The registry's shape is also published as suites/requirements.schema.json, for editors; a test holds the two together.
What the rows look like as documents is catalogue.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import yaml
from kip_conformance.infra.errors import UsageError

__all__ = ["Profile", "Registry", "Requirement", "closest", "load_registry", "load_requirements"]

Level = Literal["M", "S", "X"]
Proxy = Literal["each", "own", "none"]
Lane = Literal["default", "nightly", "disruptive"]

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "level": ("M", "S", "X"),
    "proxy": ("each", "own", "none"),
    "lane": ("default", "nightly", "disruptive"),
}
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "id": (r"[A-Z0-9]{3}-\d{2}", "three letters or digits, a dash, two digits"),
    "since": (r"\d+\.\d+\.\d+", "a version such as 0.1.0"),
    "mode": (r"[a-z]+", "a proxy mode in lower case"),
}
_FEATURE = r"[a-z0-9]+(-[a-z0-9]+)*"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the registry. `mode` is the proxy mode of a row with `proxy: own`, else empty."""

    id: str
    title: str
    sentence: str
    level: Level
    profile: str
    section: str
    features: tuple[str, ...]
    proxy: Proxy
    lane: Lane
    since: str
    source: tuple[str, ...]
    mode: str = ""

    def modes(self, available: Sequence[str]) -> tuple[str | None, ...]:
        """The proxy modes to judge this row in, of those `available`; None stands for "once, whatever the mode"."""
        if self.proxy == "none":
            return (None,)
        return tuple(mode for mode in available if self.proxy == "each" or mode == self.mode)


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of rows; it binds when the target declares all of `features`."""

    name: str
    title: str
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """Requirements by id and profiles by name, both in the order of the file."""

    requirements: Mapping[str, Requirement]
    profiles: Mapping[str, Profile]


def load_requirements(path: Path | None = None) -> Mapping[str, Requirement]:
    """The rows by id, in the order of the file; see `load_registry`."""
    return load_registry(path).requirements


def load_registry(path: Path | None = None) -> Registry:
    """Read the registry; without a path, the one that ships with the suites.

    Raises UsageError, one line naming file, row and key, for anything missing, unknown, repeated or of another type.
    """
    if path is None:
        name = "suites/requirements.yaml"
        text = resources.files("kip_conformance.suites").joinpath("requirements.yaml").read_text(encoding="utf-8")
    else:
        name = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name}: cannot be read ({error})") from error
    try:
        raw = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(raw, dict) or set(raw) != {"profiles", "requirements"}:
        raise UsageError(f"{name}: must have the keys profiles and requirements and no other")
    profiles = _read_profiles(name, raw["profiles"])
    return Registry(MappingProxyType(_read_rows(name, raw["requirements"], profiles)), MappingProxyType(profiles))


def closest(wanted: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three ids that the writer of `wanted` may have meant, best first."""
    import difflib

    upper = {identifier.upper(): identifier for identifier in known}
    asked = re.sub(r"(?<=\D)(?=\d$)", "0", wanted.strip().upper())  # IDN-1 is IDN-01, not IDN-10
    return tuple(upper[match] for match in difflib.get_close_matches(asked, upper, n=3, cutoff=0.6))


def _read_profiles(name: str, raw: object) -> dict[str, Profile]:
    if not isinstance(raw, dict) or not raw:
        raise UsageError(f"{name}: profiles must be a mapping of name to title and features")
    profiles = {}
    for key, value in raw.items():
        where = f"{name}: profile {key}"
        if not isinstance(key, str):
            raise UsageError(f"{where}: the name must be a string")
        if not isinstance(value, dict):
            raise UsageError(f"{where}: must be a mapping with title and features")
        _check_keys(where, value, required=("title", "features"), optional=())
        profiles[key] = Profile(key, _text(where, value, "title"), _features(where, value))
    return profiles


def _read_rows(name: str, raw: object, profiles: Mapping[str, Profile]) -> dict[str, Requirement]:
    if not isinstance(raw, list) or not raw:
        raise UsageError(f"{name}: requirements must be a list of rows")
    rows: dict[str, Requirement] = {}
    for number, value in enumerate(raw, 1):
        if not isinstance(value, dict):
            raise UsageError(f"{name}: row {number}: must be a mapping")
        where = f"{name}: row {value.get('id', number)}"
        row = _read_row(where, value)
        if row.id in rows:
            raise UsageError(f"{where}: key id: {row.id} is there twice")
        if row.profile not in profiles:
            raise UsageError(f"{where}: key profile: unknown {row.profile!r}; known: {', '.join(profiles)}")
        rows[row.id] = row
    return rows


def _read_row(where: str, value: dict[str, Any]) -> Requirement:
    names = [field.name for field in fields(Requirement)]
    _check_keys(where, value, required=[name for name in names if name != "mode"], optional=("mode",))
    if ("mode" in value) != (value["proxy"] == "own"):
        raise UsageError(f"{where}: key mode: goes with proxy: own, and only with it")
    texts = {name: _text(where, value, name) for name in names if name in value and name not in ("features", "source")}
    for key, choices in _CHOICES.items():
        if texts[key] not in choices:
            raise UsageError(f"{where}: key {key}: unknown {texts[key]!r}; known: {', '.join(choices)}")
    for key, (pattern, meaning) in _PATTERNS.items():
        if key in texts and not re.fullmatch(pattern, texts[key]):
            raise UsageError(f"{where}: key {key}: {texts[key]!r} is not {meaning}")
    source = _texts(where, value, "source")
    if not source:
        raise UsageError(f"{where}: key source: must name at least one document")
    return Requirement(**cast(dict[str, Any], texts), features=_features(where, value), source=source)


def _check_keys(where: str, value: Mapping[str, Any], *, required: Sequence[str], optional: Sequence[str]) -> None:
    for key in value:
        if key not in required and key not in optional:
            raise UsageError(f"{where}: key {key}: unknown; known: {', '.join((*required, *optional))}")
    for key in required:
        if key not in value:
            raise UsageError(f"{where}: key {key}: missing")


def _text(where: str, value: Mapping[str, Any], key: str) -> str:
    text = value[key]
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        raise UsageError(f"{where}: key {key}: must be a string, neither empty nor padded, not {text!r}")
    return text


def _texts(where: str, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    texts = value[key]
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise UsageError(f"{where}: key {key}: must be a list of strings, not {texts!r}")
    if len(set(texts)) != len(texts):
        raise UsageError(f"{where}: key {key}: has an entry twice")
    return tuple(texts)


def _features(where: str, value: Mapping[str, Any]) -> tuple[str, ...]:
    features = _texts(where, value, "features")
    for feature in features:
        if not re.fullmatch(_FEATURE, feature):
            raise UsageError(f"{where}: key features: {feature!r} is not lower-case words joined by dashes")
    return features


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader (in C where it is built: ten times faster), and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is there twice", node.start_mark)
        return mapping
