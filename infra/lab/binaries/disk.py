"""A full disk, told as one line: what was being done, where, and what helps. Nothing else about disks lives here."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["disk_full", "disk_full_as_fault"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_full(doing: str, where: Path) -> EnvironmentFault:
    """The error to raise when the file system of `where` filled up while `doing` ("building etcd 3.6.8")."""
    mount = next(path for path in (where, *where.parents) if path.is_mount())
    free = shutil.disk_usage(mount).free >> 20
    return EnvironmentFault(
        f"disk full while {doing}: the file system {mount} ran out of space ({free} MiB left); free about 10 GiB, "
        f"or set XDG_CACHE_HOME (and GOCACHE, GOMODCACHE) to a folder on a larger disk"
    )


@contextmanager
def disk_full_as_fault(doing: str, where: Path) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" raised in the block into `disk_full`'s EnvironmentFault."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(doing, where) from error
        raise
