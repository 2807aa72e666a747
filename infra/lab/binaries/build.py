"""`go build` of a component from its committed go.mod and go.sum, with progress and bounded output."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kip_conformance.infra.lab.binaries.catalogue import Component
from kip_conformance.infra.lab.binaries.disk import disk_full
from kip_conformance.infra.lab.binaries.golang import Go
from kip_conformance.infra.lab.binaries.refusal import Refused
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["build"]

_REPORT_SECONDS = 5.0
_FULL = re.compile(r"(?:(/[^\s:]+): )?(?:no space left on device|disk quota exceeded)")


def build(
    component: Component, go: Go, binaries: Sequence[str], *, into: Path, scratch: Path, progress: Progress
) -> None:
    """Build `binaries` of the component into the folder `into`; `scratch` is an empty folder on the same file system.

    Raises Refused with the compiler's last words when the build fails, EnvironmentFault when the disk is full.
    """
    module, temporary, output = scratch / "module", scratch / "tmp", scratch / "out"
    for folder in (module, temporary, output):
        folder.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):  # a copy: the installed package may be read-only or a tree of links
        shutil.copyfile(component.module / name, module / name)
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOTMPDIR": str(temporary),
        "PATH": f"{go.executable.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    flags = ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", component.ldflags]
    packages = [component.go_packages[binary] for binary in binaries]
    run = _Run(component, environment, module, scratch, progress)

    # One question answers two things: it fetches the modules that are needed, and counts what is not compiled yet.
    stale = run(
        [str(go.executable), "list", *flags, "-deps", "-f", "{{.Stale}}", *packages],
        lambda lines, seconds: f"{component}: reading Go modules, {_downloads(lines)}{seconds:.0f} s",
    )
    total = stale.split().count("true")
    progress(f"{component}: building {', '.join(binaries)} with Go {go.version}, {total} packages to compile")
    target = output / binaries[0] if len(binaries) == 1 else output
    run(
        [str(go.executable), "build", "-v", *flags, "-o", f"{target}{os.sep if target is output else ''}", *packages],
        lambda lines, seconds: f"{component}: built {min(len(lines), total)} of {total} packages, {seconds:.0f} s",
    )
    into.mkdir(parents=True, exist_ok=True)
    for binary in binaries:
        if not (output / binary).is_file():
            raise Refused(f"go build left no {binary}")
        (output / binary).replace(into / binary)


def _downloads(lines: Sequence[str]) -> str:
    count = sum(line.startswith("go: downloading ") for line in lines)
    return f"{count} downloaded, " if count else ""


class _Run:
    """Runs a go command, reports at intervals from the lines it has written to stderr, and returns its stdout."""

    def __init__(
        self, component: Component, environment: dict[str, str], folder: Path, scratch: Path, progress: Progress
    ) -> None:
        self._component = component
        self._environment = environment
        self._folder = folder
        self._scratch = scratch
        self._progress = progress

    def __call__(self, argv: Sequence[str], describe: Callable[[Sequence[str], float], str]) -> str:
        # A build must not outlive a run that was killed; setpriv (util-linux) arranges that without a preexec_fn.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        answers = self._scratch / "stdout"
        lines: list[str] = []
        started = time.monotonic()
        with (
            answers.open("wb") as stdout,
            subprocess.Popen(
                [*prefix, *argv],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            try:
                self._follow(process, lines, lambda: describe(lines, time.monotonic() - started))
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            text = "\n".join(lines)
            if full := _FULL.search(text):  # its path tells whether it is our folder, GOCACHE or GOMODCACHE
                raise disk_full(f"building {self._component}", Path(full.group(1) or self._scratch))
            said = " / ".join([line for line in lines if not line.startswith("go: downloading ")][-3:])
            raise Refused(f"`go {argv[1]}` failed: {said[-600:] or f'exit code {process.returncode}'}")
        return answers.read_text()

    def _follow(self, process: subprocess.Popen[bytes], lines: list[str], describe: Callable[[], str]) -> None:
        assert process.stderr is not None  # asked for above
        pending, reported = b"", time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            while True:
                if selector.select(timeout=_REPORT_SECONDS):
                    chunk = os.read(process.stderr.fileno(), 1 << 16)
                    if not chunk:
                        break
                    *whole, pending = (pending + chunk).split(b"\n")
                    lines.extend(line.decode(errors="replace") for line in whole)
                if time.monotonic() - reported >= _REPORT_SECONDS:
                    reported = time.monotonic()
                    self._progress(describe())
        if pending:
            lines.append(pending.decode(errors="replace"))
