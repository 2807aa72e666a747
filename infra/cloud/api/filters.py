"""Filters and pages of descriptions, the same for every kind of resource.

"Amazon EC2 User Guide, Filter resources": values are or-ed, filters and-ed, `*` and `?` stand for characters, names of
filters are those of the action's page. moto knows some filters of some actions and compares each in its own way.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from kip_conformance.infra.cloud.api.call import Refusal

__all__ = ["matching", "page"]

LEAST, MOST = 5, 1000


def matching(
    shapes: Sequence[dict[str, Any]],
    filters: Sequence[Mapping[str, Any]],
    paths: Mapping[str, str],
    *,
    tags: str = "Tags",
) -> list[dict[str, Any]]:
    """The shapes that pass all filters. `paths` says by a filter's name where in a shape its values are.

    Raises Refusal (InvalidParameterValue) for a filter that the action does not have.
    """
    found = list(shapes)
    for entry in filters:
        name = entry.get("Name") or "null"
        patterns = [_pattern(str(value)) for value in entry.get("Values") or []]
        if name.startswith("tag:"):
            key = name.removeprefix("tag:")
            found = [one for one in found if any(t["Key"] == key and _is_any(t["Value"], patterns) for t in one[tags])]
            continue
        path = {"tag-key": f"{tags}.Key", "tag-value": f"{tags}.Value", **paths}.get(name)
        if path is None:
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        parts = path.split(".")
        found = [one for one in found if any(_is_any(value, patterns) for value in _values(one, parts))]
    return found


def page(
    shapes: Sequence[dict[str, Any]], params: Mapping[str, Any], *, least: int = LEAST
) -> tuple[list[dict[str, Any]], str | None]:
    """The page that MaxResults and NextToken ask for, and the token of the next one.

    Raises Refusal: InvalidParameterValue for MaxResults out of bounds, InvalidPaginationToken.
    """
    begin = 0
    if token := params.get("NextToken"):
        try:
            begin = int(base64.urlsafe_b64decode(token).removeprefix(b"from:"))
        except (ValueError, binascii.Error) as error:
            raise Refusal("InvalidPaginationToken", f"The specified pagination token {token} is not valid") from error
    if (most := params.get("MaxResults")) is None:
        return list(shapes[begin:]), None
    if not least <= int(most) <= MOST:
        raise Refusal("InvalidParameterValue", f"Value ( {most} ) for parameter maxResults is invalid.")
    end = begin + int(most)
    following = base64.urlsafe_b64encode(f"from:{end}".encode()).decode() if end < len(shapes) else None
    return list(shapes[begin:end]), following


def _values(shape: Any, parts: Sequence[str]) -> Iterator[str]:
    """The values at a path; a list on the way stands for all that is in it."""
    if isinstance(shape, list):
        for one in shape:
            yield from _values(one, parts)
    elif parts:
        if isinstance(shape, Mapping) and (inner := shape.get(parts[0])) is not None:
            yield from _values(inner, parts[1:])
    elif isinstance(shape, bool):
        yield "true" if shape else "false"
    elif isinstance(shape, datetime):
        yield shape.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    elif shape is not None:
        yield str(shape)


def _is_any(value: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(value) for pattern in patterns)


@lru_cache(maxsize=4096)
def _pattern(value: str) -> re.Pattern[str]:
    """A value with `*` for any characters and `?` for one, and `\\` before those that are meant."""
    parts = []
    escaped = False
    for character in value:
        if escaped:
            parts.append(re.escape(character))
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            parts.append({"*": ".*", "?": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL)
