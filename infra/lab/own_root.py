"""A root file system of a machine's own: what the host has, with every change kept on the machine's disk.

A program that users bring to a machine writes wherever it likes; without this it would write into the host's /etc.
Each file system of the host becomes the lower layer of an overlay (the kernel's document "Overlay Filesystem"), whose
upper layer is below the machine's disk and so survives a stop and a start. /proc, /sys, /dev and /run are passed on
as they are: a machine gets its own of these elsewhere, but for /dev, which is the host's. A file system that cannot be
a lower layer (FUSE, or an overlay on an overlay) is seen read-only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from kip_conformance.infra.lab import kernel

__all__ = ["enter", "mount_points"]

_PASSED_ON = ("/proc", "/sys", "/dev", "/run")
# A machine has these on its disk as a whole: what is mounted below them on the host (containers, for one) is not seen.
_REPLACED = ("/var/lib", "/var/log")
_ESCAPE = re.compile(r"\\([0-7]{3})")


def mount_points(mountinfo: Iterable[str]) -> list[str]:
    """The mount points of /proc/self/mountinfo's lines, parents first, each once."""
    found = (_ESCAPE.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4]) for line in mountinfo)
    return sorted(dict.fromkeys(found), key=lambda path: (path.count("/") if path != "/" else 0, path))


def enter(disk: Path, lab: Path) -> None:
    """Make an overlay over the host's files this mount namespace's root; `lab` stays visible and shared at its path.

    Call it in a mount namespace of one's own with private propagation. Raises OSError; a disk on a file system that
    cannot be an upper layer (another overlay) is one reason.
    """
    shared = os.open(lab, os.O_PATH | os.O_CLOEXEC)
    layers, root = disk / "root", disk / "root" / "seen"
    root.mkdir(parents=True, exist_ok=True)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        points = mount_points(lines)
    for point in points:
        inside = root / point.lstrip("/")
        if _is_below(point, (os.fspath(lab), *_REPLACED)):
            continue
        if _is_below(point, _PASSED_ON):
            if point in _PASSED_ON:
                kernel.mount(point, inside, None, kernel.MS_BIND | kernel.MS_REC)
        elif os.path.isdir(point):
            try:
                _overlay(point, inside, layers)
            except OSError:
                if point == "/":
                    raise
                kernel.mount(point, inside, None, kernel.MS_BIND)
                kernel.mount(None, inside, None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)
        elif inside.exists():
            kernel.mount(point, inside, None, kernel.MS_BIND)
    for point in _PASSED_ON:
        if point not in points and os.path.isdir(point):
            kernel.mount(point, root / point.lstrip("/"), None, kernel.MS_BIND | kernel.MS_REC)
    inside = root / lab.relative_to("/")
    inside.mkdir(parents=True, exist_ok=True)
    kernel.mount(f"/proc/self/fd/{shared}", inside, None, kernel.MS_BIND | kernel.MS_REC)
    os.close(shared)
    os.chdir(root)
    kernel.mount(".", "/", None, kernel.MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def _overlay(lower: str, target: Path, layers: Path) -> None:
    name = "top" if lower == "/" else "at" + lower.replace("/", "-")
    upper, work = layers / name / "upper", layers / name / "work"
    for folder in (upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    # The folder's own mode and owner are the upper layer's: /tmp must stay as open as the host's.
    status = os.stat(lower)
    os.chmod(upper, status.st_mode & 0o7777)
    os.chown(upper, status.st_uid, status.st_gid)
    target.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={_quoted(lower)},upperdir={_quoted(upper)},workdir={_quoted(work)}"
    kernel.mount("overlay", target, "overlay", 0, options)


def _quoted(path: str | Path) -> str:
    return re.sub(r"([\\,:])", r"\\\1", os.fspath(path))


def _is_below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
