"""python -m kip_conformance.infra.cloud.api --folder DIR --port N: serve the cloud's API until SIGTERM."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

from kip_conformance.infra.cloud.api.realizer import AtOnce, External, Realizer, Reports
from kip_conformance.infra.cloud.api.server import listen, serve
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.errors import KipError


def main() -> int:
    """Exit code 0 after SIGTERM or SIGINT, else that of the error whose one line is on stderr."""
    defaults = Settings(Path())
    parser = argparse.ArgumentParser(prog="python -m kip_conformance.infra.cloud.api", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cloud's state, taken up again if it is there")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, which the first line of output names")
    parser.add_argument("--inherited", action="store_true", help="standard input is the socket to listen at")
    parser.add_argument("--region", default=defaults.region)
    parser.add_argument("--public-pool", default=defaults.public_pool, help="where public addresses come from")
    parser.add_argument("--s3-range", default=defaults.s3_range, help="what the prefix list of S3 holds")
    parser.add_argument(
        "--machines", choices=["at-once", "external"], default="at-once",
        help="who makes instances run: nobody, so that they do at once, or a process that follows /_kip/view",
    )  # fmt: skip
    parser.add_argument(
        "--for-machines", type=Path, metavar="SOCKET", help="a unix socket: the API without what is the operator's"
    )
    parser.add_argument("--consoles", default="", help="path of an instance's console, with {id} in it")
    given = parser.parse_args()
    settings = Settings(given.folder, given.region, public_pool=given.public_pool, s3_range=given.s3_range)

    def machines(reports: Reports) -> Realizer:
        return External(given.consoles) if given.machines == "external" else AtOnce(reports)

    try:
        with socket.socket(fileno=0) if given.inherited else listen(given.host, given.port) as listener:
            serve(listener, settings, machines, given.for_machines)
    except KipError as error:
        print(f"cloud API: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk; taking moto's objects apart one by one would only take time.
    os._exit(code)
