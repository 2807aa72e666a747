"""How results reach the disk: whole or not at all, and `last` beside them. What is written is the formats' business."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["link_last", "make_folder", "naming_the_disk", "write_text"]


@contextmanager
def naming_the_disk(path: Path) -> Iterator[None]:
    """Turn what the file system refuses at `path` into an EnvironmentFault: what, where, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "the disk is full; free some space or choose another folder with --kip-out"
        else:
            advice = f"{error.strerror or error}; choose a folder that can be written with --kip-out"
        raise EnvironmentFault(f"cannot write {path}: {advice}") from error


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents. Raises EnvironmentFault."""
    with naming_the_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8: under its name there is the old file or the whole new one. Raises EnvironmentFault."""
    with naming_the_disk(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            # mkstemp is private by default; results are there to be read and published.
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def link_last(folder: Path) -> None:
    """Point `last`, beside `folder`, at it. Something else of that name, or no right to link, leaves it as it is."""
    last = folder.parent / "last"
    if last.exists() and not last.is_symlink():
        return
    fresh = folder.parent / f".last.{os.getpid()}"
    with suppress(OSError):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.name, target_is_directory=True)
        fresh.replace(last)
