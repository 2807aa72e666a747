"""The prober image's file system: Debian's Python and busybox, unpacked, pruned, and compiled once for all containers.

The packages are listed in packages.txt and unpacked without running any of their scripts; the host is not touched.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault

__all__ = ["RECIPE", "assemble", "compile_folder", "entries", "in_chroot"]

RECIPE = "1"  # part of the cache key: raise it when anything here changes what comes out

_MERGED = ("bin", "sbin", "lib", "lib64")  # in Debian 12 these are links into /usr
_EMPTY = ("dev", "proc", "sys", "run", "tmp", "root", "var/tmp")
_PRUNED = (
    "usr/share",
    "usr/lib/binfmt.d",
    "usr/lib/*-linux-gnu/gconv",
    "usr/lib/*-linux-gnu/audit",
    "usr/lib/*-linux-gnu/perl-base",
    "usr/lib/python3.11/lib2to3",
    "usr/lib/python3.11/pydoc_data",
    "usr/lib/python3.11/ensurepip",
    "usr/lib/python3.11/distutils",
    "usr/lib/python3.11/unittest",
    "usr/lib/python3.11/tkinter",
    "usr/lib/python3.11/idlelib",
    "usr/lib/python3.11/config-3.11-*",
)
_APPLETS = (
    *("sh", "ash", "cat", "echo", "env", "grep", "head", "hostname", "id", "ip", "kill", "ls", "mkdir", "nc"),
    *("netstat", "nslookup", "ping", "ps", "rm", "sed", "sleep", "tail", "test", "touch", "traceroute", "true"),
    *("vi", "wget"),
)
_NEEDED_MODULES = "asyncio, ctypes, hashlib, json, select, selectors, signal, socket, ssl, struct, uuid"


def assemble(packages: Mapping[str, Path], into: Path) -> None:
    """Lay out the file system in the empty folder `into` from unpacked packages, and prove in a chroot that it works.

    Needs root (chroot). Raises EnvironmentFault when the Python in it cannot import what the prober needs.
    """
    for name in _MERGED:
        (into / "usr" / name).mkdir(parents=True)
        (into / name).symlink_to(f"usr/{name}")
    for name in _EMPTY:
        (into / name).mkdir(parents=True)
    for name in ("tmp", "var/tmp"):
        (into / name).chmod(0o1777)
    for package in packages.values():
        _merge(package, into)
    for pattern in _PRUNED:
        for path in into.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (into / "usr/bin/python3").symlink_to("python3.11")
    busybox = "/bin/busybox" if (into / "usr/bin/busybox").exists() else "/usr/sbin/busybox"
    for applet in _APPLETS:
        link = into / "usr/bin" / applet
        if not link.exists():
            link.symlink_to(busybox)
    (into / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (into / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (into / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    # Unpacking runs no maintainer script, so nothing is compiled yet; every container would do it again at each start.
    compile_folder(into, "/usr/lib/python3.11")
    in_chroot(into, f"import {_NEEDED_MODULES}", "import what the prober needs")


def entries(root: Path) -> Mapping[str, Path]:
    """Name in the image → path on disk, for everything under `root`, folders included."""
    return {str(path.relative_to(root)): path for path in root.rglob("*")}


def _merge(package: Path, into: Path) -> None:
    """Copy a package's files, sending /bin, /lib… where their links point; hard links keep it quick where they can."""
    for source in sorted(package.rglob("*")):
        name = source.relative_to(package)
        if str(name) == "manifest.json":
            continue
        target = into / ("usr" / name if name.parts[0] in _MERGED else name)
        if source.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir(exist_ok=True, parents=True)
        else:
            shutil.copy2(source, target)


def compile_folder(root: Path, folder: str) -> None:
    """Compile Python below `folder` of the file system. Raises EnvironmentFault."""
    program = f"import compileall, sys; sys.exit(not compileall.compile_dir({folder!r}, quiet=2, "
    program += "invalidation_mode=__import__('py_compile').PycInvalidationMode.UNCHECKED_HASH))"
    in_chroot(root, program, f"compile {folder}")


def in_chroot(root: Path, program: str, purpose: str) -> None:
    """Run a Python program with the file system's own Python. Raises EnvironmentFault when it fails."""
    argv = ["chroot", str(root), "/usr/bin/python3", "-I", "-B", "-c", program]
    done = subprocess.run(
        argv, check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdin=subprocess.DEVNULL, capture_output=True
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-1:]
        raise EnvironmentFault(
            f"the Python in {root} ({platform.machine()}) cannot {purpose}: "
            f"{' '.join(said) or f'exit code {done.returncode}'}; image building needs root and Debian 12 packages"
        )
