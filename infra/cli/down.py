"""Take a running lab down: its processes, namespaces, groups and files. Without a name, the only one there is."""

from __future__ import annotations

import argparse

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.lab.state import LabFolder, lab_folders
from kip_conformance.infra.targets.lab import remove_lab

HELP = "take a lab down"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN", help="the lab's name, as `kip-conformance status` prints it"
    )


def run(options: argparse.Namespace) -> int:
    folder = the_lab(options.run_id)
    remove_lab(folder)
    print(f"{folder.run_id} is down.")
    return 0


def the_lab(run_id: str | None) -> LabFolder:
    """The lab by name, or the only one. Raises UsageError that lists the ones there are."""
    there = {folder.run_id: folder for folder in lab_folders()}
    names = ", ".join(there) or "none"
    if run_id is None:
        if len(there) != 1:
            raise UsageError(f"which lab? there are: {names}")
        return next(iter(there.values()))
    if run_id not in there:
        raise UsageError(f"no lab {run_id}; there are: {names}")
    return there[run_id]
