"""Enforce NetworkPolicies on this kubelet node: `python -m kip_conformance.infra.provider.policies --nodename NAME`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.kube_client import KubeClient
from kip_conformance.infra.provider.policies.node_agent import police


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="kip-policy-agent", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="default: the pod's own ServiceAccount")
    parser.add_argument("--nodename", required=True, metavar="NAME", help="the node that this machine is")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        asyncio.run(police(KubeClient(given.kubeconfig), given.nodename))
    except KipError as error:
        print(f"kip-policy-agent: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
