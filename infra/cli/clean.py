"""Remove what dead runs left: folders and control groups of labs whose supervisor is gone.

Labs are those below KIP_STATE. Groups of a run that has no folder there are a dead run's only when nothing is in them.

With --run, that run and everything it made, alive or dead; with --all, every lab. Labs in use are otherwise left alone.
"""

from __future__ import annotations

import argparse

from kip_conformance.infra.lab import cgroups
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder, lab_folders
from kip_conformance.infra.targets.lab import remove_lab

HELP = "remove what dead runs left"


def arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="remove this run, alive or dead")
    which.add_argument("--all", action="store_true", help="remove every lab, alive or dead")


def run(options: argparse.Namespace) -> int:
    if options.run:
        found = [LabFolder.of(options.run)]
        if not found[0].path.exists() and not cgroups.leftovers(found[0].run_id):
            print(f"Nothing of {options.run} is left.")
            return 0
    else:
        labs = {folder.run_id: folder for folder in lab_folders()}
        # Another KIP_STATE's labs have groups here and no folder: what lives in them says that they are alive.
        ours = [run_id for run_id in cgroups.known_runs() if run_id not in labs and not cgroups.are_used(run_id)]
        labs |= {run_id: LabFolder.of(run_id) for run_id in ours}
        found = [folder for folder in labs.values() if options.all or not Control(folder).is_alive()]
    for folder in found:
        remove_lab(folder)
        print(f"Removed {folder.run_id}.")
    if not found:
        print("Nothing to clean.")
    return 0
