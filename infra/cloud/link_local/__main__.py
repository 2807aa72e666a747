"""`python -m kip_conformance.infra.cloud.link_local --folder DIR`: the services at the link-local addresses of a lab.

Run beside the lab's supervisor, where network namespaces have names.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from pathlib import Path

from kip_conformance.infra.cloud.link_local.folder import FactsFolder
from kip_conformance.infra.cloud.link_local.server import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="what folder.py describes; made when missing")
    folder = FactsFolder(parser.parse_args().folder)
    # Six sockets an interface, and connections.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        folder.create()
        asyncio.run(run(folder))
    except OSError as error:
        print(f"link-local services: {error.filename or folder.path}: {error.strerror}", file=sys.stderr)
        return 10
    return 0


if __name__ == "__main__":
    sys.exit(main())
