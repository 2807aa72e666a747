"""Show every lab of this machine: whether it lives, what is dead in it, and the commands that use it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.lab.control import Control
from kip_conformance.infra.lab.state import LabFolder, lab_folders
from kip_conformance.infra.targets.protocol import ClusterDescription

HELP = "show the labs of this machine"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable, one object per lab")


def run(options: argparse.Namespace) -> int:
    labs = [_describe(folder) for folder in lab_folders()]
    if options.json:
        print(json.dumps(labs, indent=1))
        return 0
    if not labs:
        print("No labs. `kip-conformance up` makes one.")
    for lab in labs:
        print(f"{lab['run']}  {lab['state']}{'  kept' if lab['kept'] else ''}  {lab['kubernetes']}")
        for dead in lab["dead"]:
            print(f"  dead: {dead}")
        if lab["state"] == "up":
            print(f"  kubeconfig {lab['kubeconfig']}")
            print(f"  places     {', '.join(lab['places'])}")
            print(f"  cloud      {lab['cloud']}")
        else:
            print(f"  remove it: kip-conformance clean --run {lab['run']}")
    return 0


def _describe(folder: LabFolder) -> dict[str, Any]:
    lab: dict[str, Any] = {
        "run": folder.run_id,
        "state": "dead",
        "kept": False,
        "kubernetes": "",
        "dead": [],
        "places": [],
        "kubeconfig": str(folder.kubeconfig),
        "cloud": "",
        "folder": str(folder.path),
    }
    try:
        status = Control(folder).status()
    except KipError:
        return lab
    lab["kept"] = status["kept"]
    lab["dead"] = [
        f"{each['machine'] or 'lab'} {each['name']} (exit code {each['exit']})"
        for each in status["daemons"]
        if each["exit"] is not None and not each["is_over"]
    ]
    try:
        description = ClusterDescription.from_json(folder.description.read_text(), origin=folder.description)
    except OSError:
        lab["state"] = "coming up"
        return lab
    except KipError as error:
        lab["dead"].append(str(error))
        return lab
    lab["state"] = "damaged" if lab["dead"] else "up"
    lab["kubernetes"] = f"Kubernetes {description.versions.get('kubernetes', '')}"
    lab["places"] = [place.name for place in description.places]
    lab["cloud"] = str(description.details.get("cloud-api", ""))
    return lab
