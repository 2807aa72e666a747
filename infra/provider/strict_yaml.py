"""YAML read strictly into dataclasses: every refusal names the file, the line and the field.

A field's name in the file is `name` of its metadata, else its own. Values are checked against the annotation: str, int,
bool, tuples of strings, mappings of strings to strings, dataclasses, and tuples of dataclasses.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from kip_conformance.infra.errors import UsageError

__all__ = ["named", "read_yaml"]

T = TypeVar("T")


def named(name: str, default: Any) -> Any:
    """A dataclass's field that has another name in the file."""
    return dataclasses.field(default=default, metadata={"name": name})


def read_yaml(kind: type[T], text: str, origin: Path) -> T:
    """Raises UsageError for what is no YAML, for an unknown field, a field twice, and a value of another kind."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"{origin}:{where.line + 1}" if where else str(origin)
        raise UsageError(f"{line}: no YAML: {getattr(error, 'problem', error)}") from error
    value: T = _Reader(origin).record(kind, node, "") if node is not None else kind()
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class _Reader:
    origin: Path

    def refuse(self, node: yaml.Node, message: str) -> UsageError:
        return UsageError(f"{self.origin}:{node.start_mark.line + 1}: {message}")

    def record(self, kind: Any, node: yaml.Node, path: str) -> Any:
        if node.tag == "tag:yaml.org,2002:null":
            return kind()  # a section all of whose fields are commented out
        if not isinstance(node, yaml.MappingNode):
            raise self.refuse(node, f"{path or 'the file'} must be a mapping")
        fields = {field.metadata.get("name", field.name): field for field in dataclasses.fields(kind)}
        types = typing.get_type_hints(kind)
        values: dict[str, Any] = {}
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            if key.value not in fields:
                known = ", ".join(fields)
                raise self.refuse(key, f"unknown field {inner}; {path or 'the file'} may have {known}")
            field = fields[key.value]
            if field.name in values:
                raise self.refuse(key, f"{inner} is there twice")
            values[field.name] = self.value(types[field.name], value, inner)
        return kind(**values)

    def value(self, kind: Any, node: yaml.Node, path: str) -> Any:
        if dataclasses.is_dataclass(kind):
            return self.record(kind, node, path)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is tuple:
            if not isinstance(node, yaml.SequenceNode):
                raise self.refuse(node, f"{path} must be a list")
            return tuple(self.value(arguments[0], one, f"{path}[{index}]") for index, one in enumerate(node.value))
        if origin in (dict, Mapping):
            if not isinstance(node, yaml.MappingNode):
                raise self.refuse(node, f"{path} must be a mapping")
            return {str(key.value): self.value(str, value, f"{path}.{key.value}") for key, value in node.value}
        return self.scalar(kind, node, path)

    def scalar(self, kind: type, node: yaml.Node, path: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self.refuse(node, f"{path} must be a single value")
        tag = node.tag.rpartition(":")[2]
        if kind is str:
            return "" if tag == "null" else str(node.value)  # 4 and "4" are the same here, as in a resource quantity
        if kind is bool and tag == "bool":
            return str(node.value).lower() in ("true", "yes", "on")
        if kind is int and tag == "int":
            return int(node.value, 0)
        raise self.refuse(node, f"{path} must be {_NAMES[kind]}, not {node.value!r}")


_NAMES = {bool: "true or false", int: "a whole number", str: "a text"}
