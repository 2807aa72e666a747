"""Print what a client of a lab's cloud (EC2) needs in its environment. For a shell: eval "$(kip-conformance cloud)"."""

from __future__ import annotations

import argparse

from kip_conformance.infra.cli.down import the_lab
from kip_conformance.infra.cloud.start import client_environment, machine_environment
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.targets.protocol import ClusterDescription

HELP = "print what a client of a lab's cloud needs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="ID", help="the lab (default: the only one)")
    parser.add_argument("--machine", action="store_true", help="what a program on one of its machines needs instead")


def run(options: argparse.Namespace) -> int:
    folder = the_lab(options.run)
    try:
        text = folder.description.read_text()
    except OSError as error:
        raise EnvironmentFault(f"lab {folder.run_id} is not up (no {folder.description})") from error
    description = ClusterDescription.from_json(text, origin=folder.description)
    api = str(description.details["cloud-api"])
    for line in machine_environment(folder) if options.machine else client_environment(api):
        print(f"export {line}")
    return 0
