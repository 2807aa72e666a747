"""The archive's entry: `itzo --settings FILE` is the keeper, which starts `itzo --settings FILE agent`."""

from __future__ import annotations

import sys

__all__ = ["main"]

_USAGE = (
    "usage: itzo-VERSION --settings FILE [agent], itzo-VERSION bake STORE CA-FILE IMAGE..., or itzo-VERSION --version"
)


def main(version: str, arguments: list[str] | None = None) -> int:
    """Returns the exit code: 2 for settings that cannot be used, with one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--version"]:
        print(version)
        return 0
    if given[:1] == ["unpack"] and len(given) > 1:
        from kip_conformance.infra.cell.layers import main as unpack

        return unpack(given[1:])
    if given[:1] == ["bake"] and len(given) > 3:
        from kip_conformance.infra.cell.images import bake

        return bake(given[1], given[2], given[3:])
    if len(given) not in (2, 3) or given[0] != "--settings" or given[2:] not in ([], ["agent"]):
        print(_USAGE, file=sys.stderr)
        return 2
    if given[2:] == ["agent"]:
        from kip_conformance.infra.cell.agent import serve

        return serve(version, given[1])
    from kip_conformance.infra.cell.keeper import keep

    return keep(sys.argv[0], given[1])
