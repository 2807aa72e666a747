"""What a program on this machine says its version is, and whether one on PATH can stand in for the pinned one."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kip_conformance.infra.lab.binaries.catalogue import Component
from kip_conformance.infra.lab.binaries.refusal import Refused

__all__ = ["on_path", "reported_version", "require_version"]

_PATIENCE = 10.0  # seconds for a program to print its version


def reported_version(program: Path, component: Component, binary: str) -> str:
    """The version that `program` prints for itself. Raises Refused when it does not run or prints none."""
    try:
        done = subprocess.run(
            [program, *component.queries[binary]],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{program} does not run ({error})") from error
    text = (done.stdout + b"\n" + done.stderr).decode(errors="replace")
    found = component.pattern.search(text)
    if not found:
        raise Refused(f"{program} does not say its version")
    return found.group(1)


def require_version(program: Path, component: Component, binary: str, where: str) -> None:
    """Raises Refused ("kubectl on PATH is 1.33.1, wanted 1.36.3") unless `program` is exactly the pinned version."""
    reported = reported_version(program, component, binary)
    if reported != component.version:
        raise Refused(f"{binary} {where} is {reported}, wanted {component.version}")


def on_path(component: Component, binaries: tuple[str, ...]) -> dict[str, Path | Refused | None]:
    """Per binary: the path of one on PATH that is the pinned version, the refusal of one that is not, None for none."""

    def look(binary: str) -> Path | Refused | None:
        found = shutil.which(binary)
        if found is None:
            return None
        path = Path(found).absolute()
        try:
            require_version(path, component, binary, "on PATH")
        except Refused as refusal:
            return refusal
        return path

    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(binaries, pool.map(look, binaries), strict=True))
