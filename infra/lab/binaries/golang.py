"""A Go toolchain that is new enough for a module: from PATH, from the cache, or the official tarball by its sha256."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.cache import damage, ensure
from kip_conformance.infra.lab.binaries.catalogue import go_release
from kip_conformance.infra.lab.binaries.fetch import Hosts, fetch
from kip_conformance.infra.lab.binaries.refusal import Refused
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["Go", "find_go", "go_line"]


@dataclass(frozen=True, slots=True)
class Go:
    """A usable `go` command and the version that it reports ("1.26.8")."""

    executable: Path
    version: str


def go_line(module: Path) -> str:
    """The version that the go.mod in `module` asks for ("1.26.0"); its toolchain line, where there is one, wins."""
    text = (module / "go.mod").read_text()
    asked = re.search(r"^toolchain go(\S+)", text, re.MULTILINE) or re.search(r"^go (\S+)", text, re.MULTILINE)
    if not asked:
        raise EnvironmentFault(f"{module / 'go.mod'} has no go line; restore the file from version control")
    return asked.group(1)


def find_go(at_least: str, *, cache: Path, hosts: Hosts, download: bool, progress: Progress) -> Go:
    """A Go of version `at_least` or newer. Raises EnvironmentFault, in one line, when there is none to be had."""
    reasons = []
    found = shutil.which("go")
    if found:
        try:
            go = _inspect(Path(found).absolute())
            if _numbers(go.version) >= _numbers(at_least):
                return go
            reasons.append(f"{found} is {go.version}")
        except Refused as refusal:
            reasons.append(str(refusal))
    else:
        reasons.append("none on PATH")
    progress(f"Go: {reasons[0]}, {at_least} or newer is needed")

    pinned = go_release()
    entry = cache / "go" / f"go{pinned.version}-{(pinned.release.sha256 or 'unpinned')[:12]}"
    try:
        if _numbers(pinned.version) < _numbers(at_least):
            raise Refused(f"the pinned Go {pinned.version} is too old")
        if damage(entry) is not None:
            if not download:
                raise Refused("downloads are turned off")
            if pinned.release.sha256 is None:
                raise Refused(f"no pinned sha256 for {pinned.release.url}")

            def unpack(folder: Path) -> None:
                archive = folder / "go.tar.gz"
                progress(f"Go {pinned.version}: fetching {pinned.release.url}")
                fetch(pinned.release.url, archive, sha256=pinned.release.sha256 or "", hosts=hosts, progress=progress)
                subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True, capture_output=True)
                archive.unlink()

            ensure(entry, f"Go {pinned.version}", unpack, progress)
        return _inspect(entry / "go" / "bin" / "go")
    except Refused as refusal:
        reasons.append(f"official release: {refusal}")
    except subprocess.CalledProcessError as error:
        reasons.append(f"official release: tar failed ({error.stderr.decode(errors='replace').strip()[-200:]})")
    raise EnvironmentFault(
        f"Go {at_least} or newer is needed to build the lab's components ({'; '.join(reasons)}): "
        f"install Go {pinned.version} on PATH"
    )


def _inspect(executable: Path) -> Go:
    try:
        done = subprocess.run(
            [executable, "version"],
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},  # else `go` may fetch another toolchain to answer
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{executable} does not run ({error})") from error
    found = re.search(r"\bgo(\d+\.\d+\S*)", done.stdout.decode(errors="replace"))
    if not found:
        raise Refused(f"{executable} does not say its version")
    return Go(executable, found.group(1))


def _numbers(version: str) -> tuple[int, ...]:
    """1.26, 1.26.0 and 1.26rc1 as (1, 26, 0): a release candidate counts as its release, as it does for a go line."""
    digits = [int(number) for number in re.findall(r"\d+", re.split(r"[a-z-]", version, maxsplit=1)[0])]
    return tuple((*digits, 0, 0)[:3])
