"""`python -m kip_conformance.infra.faults`: plant every fault in a lab of its own and publish the kill matrix."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from kip_conformance.infra.errors import KipError, UsageError
from kip_conformance.infra.faults.fault import ON_CELLS, ON_SITE, Fault, find_faults, sample_faults
from kip_conformance.infra.faults.runner import Scope, run_faults, write_matrix
from kip_conformance.infra.lab.state import new_run_id
from kip_conformance.infra.targets.lab import LabTarget
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.plan import planned_places

_FLAG = {(): "neither --cells nor --site", ON_CELLS: "--cells", ON_SITE: "--site"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="only this one (repeatable)")
    parser.add_argument("--kubernetes", metavar="VERSION", help="Kubernetes version of the lab")
    parser.add_argument("--out", type=Path, default=Path("reports/out/faults"), help="where the matrix goes")
    parser.add_argument(
        "--sample",
        type=float,
        metavar="SHARE",
        help="a random share of the faults, such as 0.1, and a third of the rows",
    )
    parser.add_argument(
        "--seed", type=int, default=int(time.strftime("%Y%m%d")), help="of --sample (default: the date)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that run the suites (default 2)")
    parser.add_argument(
        "--resume", action="store_true", help="keep what a run before judged in --out, and judge the rest"
    )
    parser.add_argument(
        "--cells", action="store_true", help="the faults of cells, in a lab with cells; without it, all others"
    )
    parser.add_argument(
        "--site", action="store_true", help="the faults between cells and a site, in a lab with places on both"
    )
    parser.add_argument("--list", action="store_true", help="print the faults and stop")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if options.cells and options.site:
            raise UsageError("--cells and --site: one lab at a time")
        further = ON_SITE if options.site else ON_CELLS if options.cells else ()
        found = find_faults(options.fault)
        faults = [fault for fault in found if fault.places == further]
        if not faults:
            raise UsageError(f"{', '.join(options.fault)}: planted with {_FLAG[found[0].places]} only")
        if options.sample is not None:
            faults = sample_faults(faults, options.sample, options.seed)
            _say(f"seed {options.seed}: {', '.join(fault.name for fault in faults)}")
        if options.list:
            for fault in faults:
                print(f"{fault.name}: {fault.sentence}")
            return 0
        return _run(options, faults)
    except KipError as error:
        print(f"faults: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("faults: interrupted", file=sys.stderr)
        return 10


def _run(options: argparse.Namespace, faults: Sequence[Fault]) -> int:
    places = planned_places(faults[0].places)
    target = LabTarget(TargetOptions(new_run_id(), options.kubernetes, places=places))
    lab = target.up(_say)
    try:
        matrix = run_faults(
            lab,
            faults,
            options.out.absolute(),
            _say,
            Scope(
                workers=options.workers,
                is_resumed=options.resume,
                is_sample=bool(options.fault or options.sample is not None),
                seed=None if options.sample is None else options.seed,
            ),
        )
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            target.down(lab.description)
    print(matrix.as_text())
    print()
    print("\n".join(f"wrote {path}" for path in write_matrix(matrix, options.out)))
    return 0 if matrix.is_clean else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
