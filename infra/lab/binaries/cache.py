"""The cache folder: entries that appear whole or not at all, are checked when used, and never collide between runs.

An entry is a folder with a manifest of its files. It is made in a staging folder beside its place and renamed into it,
under a file lock, so that two runs at once make it once. What is in an entry is not known here.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.disk import disk_full_as_fault
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["cache_root", "damage", "digest_of", "ensure", "locked"]

MANIFEST = "manifest.json"


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/kip-conformance`, else `~/.cache/kip-conformance`.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification asks.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError as error:
            raise EnvironmentFault("no home folder for the cache: set XDG_CACHE_HOME to an absolute path") from error
    return Path(base) / "kip-conformance"


def digest_of(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damage(entry: Path) -> str | None:
    """Why the entry cannot be used ("bin/etcd: 10 bytes, expected 26501282"); None when it is whole.

    Size and modification time are compared for every file; only a file whose time differs is read and hashed again
    (a copied or restored cache), because hashing half a gigabyte costs as much as a good part of the lab's start.
    """
    try:
        files = json.loads((entry / MANIFEST).read_text())["files"]
        retimed = False
        for name, recorded in files.items():
            path = entry / name
            status = path.lstat()
            if status.st_size != recorded["size"]:
                return f"{name}: {status.st_size} bytes, expected {recorded['size']}"
            if status.st_mtime_ns != recorded["mtime_ns"]:
                if digest_of(path) != recorded["sha256"]:
                    return f"{name}: its sha256 is not the recorded one"
                recorded["mtime_ns"], retimed = status.st_mtime_ns, True
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing" if entry.exists() else "not there"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"unreadable ({error})"
    if retimed and os.access(entry, os.W_OK):
        _write_manifest(entry, files)
    return None


def ensure(entry: Path, what: str, make: Callable[[Path], None], progress: Progress) -> bool:
    """Have `entry` whole: return at once if it is, else let `make(folder)` fill a staging folder and put that in place.

    `what` names the content in messages ("kubernetes 1.36.3"). Returns True when it was made now. What `make` raises is
    passed on after the staging folder is removed; a full disk becomes an EnvironmentFault.
    """
    if damage(entry) is None:
        return False
    with disk_full_as_fault(f"preparing {what}", entry.parent), locked(entry, what, progress):
        reason = damage(entry)
        if reason is None:
            return False
        if entry.exists():
            progress(f"{what}: the cached copy is damaged ({reason}); making it again")
        for leftover in entry.parent.glob(f".{entry.name}.*"):  # we hold the lock: whoever made it is dead
            _remove(leftover)
        staging = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
        try:
            staging.chmod(0o755)
            make(staging)
            _write_manifest(staging, _files_of(staging))
            if entry.exists():
                retired = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=entry.parent))
                entry.rename(retired / "old")
                staging.rename(entry)
                _remove(retired)
            else:
                staging.rename(entry)
        finally:
            _remove(staging)
    return True


@contextmanager
def locked(entry: Path, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of `entry` (a file beside it) against other processes and threads for the length of the block."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_name(f"{entry.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"{what}: another run is preparing it; waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files_of(folder: Path) -> dict[str, dict[str, int | str]]:
    files: dict[str, dict[str, int | str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())  # a rename may reach the disk before the content does
            status = path.lstat()
            files[str(path.relative_to(folder))] = {
                "size": status.st_size,
                "mtime_ns": status.st_mtime_ns,
                "sha256": digest_of(path),
            }
    return files


def _write_manifest(folder: Path, files: dict[str, dict[str, int | str]]) -> None:
    partial = folder / f".{MANIFEST}.{os.getpid()}"
    partial.write_text(json.dumps({"files": files}, indent=1, sort_keys=True) + "\n")
    partial.replace(folder / MANIFEST)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
