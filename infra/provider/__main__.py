"""Run the reference provider: `python -m kip_conformance.infra.provider --config provider.yaml --kubeconfig FILE`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from kip_conformance.infra.errors import KipError
from kip_conformance.infra.provider.config import Config, load_config
from kip_conformance.infra.provider.facilities import Patience
from kip_conformance.infra.provider.provider import Options, run


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kip-provider", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="provider.yaml")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="default: the pod's own ServiceAccount")
    parser.add_argument("--nodename", default="kip-node", help="name of the virtual node (default: kip-node)")
    parser.add_argument("--namespace", default="kube-system", help="where the provider keeps its Secret")
    parser.add_argument("--address", default="", help="the node's InternalIP (default: this machine's)")
    parser.add_argument("--cluster-dns", default="", metavar="ADDRESS")
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN")
    parser.add_argument(
        "--network-agent-secret", default="", metavar="NAMESPACE/NAME",
        help="Secret with the token that kube-proxy on cells uses; without one, cells run no kube-proxy",
    )  # fmt: skip
    parser.add_argument(
        "--cells-api-server", default="", metavar="URL", help="the API server as cells see it (default: as we do)"
    )
    parser.add_argument("--kubelet-port", type=int, default=10250, metavar="PORT")
    parser.add_argument("--kubelet-certificate", type=Path, metavar="FILE", help="for the node's InternalIP, PEM")
    parser.add_argument("--kubelet-key", type=Path, metavar="FILE")
    parser.add_argument("--client-ca", type=Path, metavar="FILE", help="CA of the kubelet port's clients")
    parser.add_argument("--boot-timeout", type=float, default=Patience().boot, metavar="SECONDS")
    parser.add_argument("--boot-warning", type=float, default=Patience().boot_warning, metavar="SECONDS")
    parser.add_argument("--sweep-interval", type=float, default=Patience().sweep, metavar="SECONDS")
    parser.add_argument("--verbose", action="store_true")
    return parser


def main(arguments: list[str]) -> int:
    given = _arguments().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("botocore", "urllib3", "boto3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    options = Options(
        given.kubeconfig,
        given.nodename,
        given.namespace,
        given.address,
        given.cluster_dns,
        given.cluster_domain,
        given.network_agent_secret,
        given.cells_api_server,
        given.kubelet_port,
        given.kubelet_certificate,
        given.kubelet_key,
        given.client_ca,
        Patience(given.boot_timeout, given.boot_warning, given.sweep_interval),
    )
    try:
        asyncio.run(_until_told(load_config(given.config), options))
    except KipError as error:
        print(f"kip-provider: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _until_told(config: Config, options: Options) -> None:
    """Run until SIGTERM or SIGINT. Cells go on: whoever is started next takes them over."""
    loop, running = asyncio.get_running_loop(), asyncio.create_task(run(config, options))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
