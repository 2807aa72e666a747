"""Run a command on a machine of a lab, or with --network inside a namespace of its network.

  kip-conformance exec node-a -- iptables-save -t nat
  kip-conformance exec --network nic-node-a -- nft list ruleset

Standard input, output and the exit code are the command's. The machines are control-plane, node-a and node-b; the
network's namespaces are nic-MACHINE (security group and source check) and vpc-main (the router).
"""

from __future__ import annotations

import argparse
import os

from kip_conformance.infra.cli.down import the_lab
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.lab.control import Control

HELP = "run a command on a machine of a lab"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", dest="run_id", metavar="ID", help="the lab (default: the only one)")
    parser.add_argument("--network", action="store_true", help="the name is a network namespace, not a machine")
    parser.add_argument("name", help="machine, or network namespace")
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise UsageError("exec: no command; for example `kip-conformance exec node-a -- ip route`")
    control = Control(the_lab(options.run_id))
    where = {"netns": options.name} if options.network else {"machine": options.name}
    return control.run_attached(argv, (0, 1, 2), env={"TERM": os.environ.get("TERM", "dumb")}, **where)
