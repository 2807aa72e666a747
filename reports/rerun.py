"""The command that judges one row, or one pair of it, again. It is printed for people to paste, never run from here."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from kip_conformance.reports.model import ItemResult, RunInfo

__all__ = ["command_of", "pair_of", "rerun"]

# What a selection may hold that the rerun states itself, and what a kept lab has settled already.
_NARROWING = ("--requirement", "--proxy-mode", "-k", "-m", "--kip-seed", "--attach")
_SETTLED_BY_ATTACH = ("--cluster", "--kubernetes", "--cni")


def rerun(run: RunInfo, *items: ItemResult, pair: str = "") -> str:
    """The shell command that runs the rows of `items` again, with the same seed; with `pair`, that pair alone.

    It may run more than `items`, never less: several rows share their modes. With a kept lab it attaches to it
    instead of bringing up another one.
    """
    drop = (*_NARROWING, *(_SETTLED_BY_ATTACH if run.attach else ()), *(("--pair",) if pair else ()))
    arguments = [*(run.command or command_of(Path.cwd()))]
    arguments += ["--attach", run.attach] if run.attach else []
    arguments += without(run.selection, drop)
    for requirement in dict.fromkeys(item.requirement for item in items):
        arguments += ["--requirement", requirement]
    modes = dict.fromkeys(item.mode for item in items if item.mode is not None)
    arguments += ["--proxy-mode", ",".join(modes)] if modes else []
    words = {" and ".join(value for name, value in item.parameters.items() if name != "mode") for item in items}
    # A word of one item would leave the others out.
    word = words.pop() if len(words) == 1 else ""
    arguments += ["-k", word] if word else []
    arguments += ["--pair", pair] if pair else []
    return shlex.join([*arguments, "--kip-seed", str(run.seed)])


def pair_of(run: RunInfo, item: ItemResult) -> str:
    """The first pair of `item` that was not as expected and can be asked for by itself, else an empty string.

    A Service or a NodePort in a grid is not a place, so there is no pair with it to select.
    """
    failed = (case for grid in item.grids for case in grid if not case.ok)
    return next((case.id for case in failed if {case.client, case.server} <= {*run.places}), "")


def command_of(folder: Path) -> tuple[str, ...]:
    """How pytest is started on the suites from `folder`: their path in a checkout, their package when installed.

    Names the pytest of this very environment when the one on PATH is another.
    """
    mine = Path(sys.prefix, "bin", "pytest")
    if shutil.which("pytest") == str(mine):
        program = "pytest"
    else:
        program = os.path.relpath(mine, folder) if mine.is_relative_to(folder) else str(mine)
    here = folder / "suites" / "requirements.yaml"
    with resources.as_file(resources.files("kip_conformance.suites").joinpath("requirements.yaml")) as installed:
        is_checkout = here.is_file() and here.samefile(installed)
    return (program, "suites") if is_checkout else (program, "--pyargs", "kip_conformance.suites")


def without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """`arguments` less the options called `names` and their values: `--x v`, `--x=v`, and `-x v` or `-xv`."""
    attached = tuple(f"{name}=" if name.startswith("--") else name for name in names)
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in names:
            skip = True
        elif not argument.startswith(attached):
            kept.append(argument)
    return kept
