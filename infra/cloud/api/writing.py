"""Answers of EC2 as XML, from plain values and botocore's description of the API.

moto writes answers too, from any objects; with plain values this takes a fifth of the time, which is most of the time
of a description of hundreds of instances.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

from moto.core.utils import get_service_model

__all__ = ["NotPlain", "written"]

XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"
Writer = Callable[[Any, list[str]], None]


class NotPlain(Exception):
    """A value is one of moto's objects: moto must write it."""


def written(action: str, result: Mapping[str, Any]) -> bytes:
    """The answer to an action. Raises NotPlain."""
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{XMLNS}">']
    parts.append(f"<requestId>{uuid.uuid4()}</requestId>")
    if write := _members_of(action):
        write(result, parts)
    parts.append(f"</{action}Response>")
    return "".join(parts).encode()


@lru_cache(maxsize=1024)
def _members_of(action: str) -> Writer | None:
    shape = get_service_model("ec2").operation_model(action).output_shape
    return None if shape is None else _writer(shape.name)


@lru_cache(maxsize=4096)
def _writer(name: str) -> Writer:
    """What writes the values of a shape: the inside of its element."""
    shape = get_service_model("ec2").shape_for(name)
    if shape.type_name == "structure":
        return _structure(shape)
    if shape.type_name == "list":
        return _list(shape)
    return _SCALARS.get(shape.type_name, _text)


def _structure(shape: Any) -> Writer:
    # Writers are looked up when they are needed: shapes may hold themselves.
    members = {
        name: (str(member.serialization.get("name", name)), member.name) for name, member in shape.members.items()
    }

    def write(value: Any, parts: list[str]) -> None:
        if not isinstance(value, Mapping):
            raise NotPlain
        for name, one in value.items():
            if one is None or name not in members:
                continue
            tag, inner = members[name]
            parts.append(f"<{tag}>")
            _writer(inner)(one, parts)
            parts.append(f"</{tag}>")

    return write


def _list(shape: Any) -> Writer:
    tag, inner = str(shape.member.serialization.get("name", "item")), shape.member.name

    def write(value: Any, parts: list[str]) -> None:
        for one in value:
            parts.append(f"<{tag}>")
            _writer(inner)(one, parts)
            parts.append(f"</{tag}>")

    return write


def _text(value: Any, parts: list[str]) -> None:
    if not isinstance(value, str | int | float):
        raise NotPlain
    parts.append(escape(str(value)))


def _boolean(value: Any, parts: list[str]) -> None:
    parts.append("true" if value else "false")


def _timestamp(value: Any, parts: list[str]) -> None:
    if not isinstance(value, datetime):
        raise NotPlain
    # moto's times are UTC without saying so.
    moment = value.astimezone(UTC) if value.tzinfo is not None else value
    parts.append(moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"))


def _blob(value: Any, parts: list[str]) -> None:
    parts.append(base64.b64encode(value).decode() if isinstance(value, bytes) else escape(str(value)))


_SCALARS: dict[str, Writer] = {"boolean": _boolean, "timestamp": _timestamp, "blob": _blob}
