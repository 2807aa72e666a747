"""Stand up a lab and leave it running.

Prints how to use it with kubectl, how to run the suites against it, and how to remove it. Takes a few seconds when the
components are in the cache; the first time they are fetched or built, with a line for each.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.targets.options import DEFAULT_MODES, TargetOptions
from kip_conformance.infra.targets.plan import planned_places
from kip_conformance.infra.targets.profile import load_profile
from kip_conformance.infra.targets.registry import create_target

HELP = "stand up a lab and leave it running"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cluster", default="lab", help="the target to stand up (default: lab)")
    parser.add_argument("--run", metavar="ID", help="name of the run (default: made from the time)")
    parser.add_argument(
        "--kubernetes", metavar="VERSION", help="Kubernetes version (default: the newest that is pinned)"
    )
    parser.add_argument("--cni", default="routed", help="built-in CNI by name, or a folder (default: routed)")
    parser.add_argument(
        "--places", metavar="NAMES", default="", help="places beside the foundation's, separated by commas, or all"
    )
    parser.add_argument(
        "--proxy-mode", default=DEFAULT_MODES[0], help=f"mode that kube-proxy starts in (default: {DEFAULT_MODES[0]})"
    )


def run(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    run_id = LabFolder.of(options.run or new_run_id()).run_id
    places = planned_places([name for name in options.places.split(",") if name])
    modes = (options.proxy_mode, *(mode for mode in DEFAULT_MODES if mode != options.proxy_mode))
    target = create_target(
        options.cluster,
        TargetOptions(
            run_id, options.kubernetes, options.cni, modes, keep="always", profile=load_profile(), places=places
        ),
    )
    cluster = target.up(lambda line: print(line, file=sys.stderr, flush=True))
    commands = target.keep(cluster.description)
    print(f"{run_id} is up.")
    for line in commands:
        print(f"  {line}")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
