"""The provider as a whole: what it is told, the order in which it starts, and what runs until it ends."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.provider.cells_told import tell_cells
from kip_conformance.infra.provider.cloud import Cloud
from kip_conformance.infra.provider.config import Aws, Config
from kip_conformance.infra.provider.events import Events
from kip_conformance.infra.provider.facilities import Facilities, Patience
from kip_conformance.infra.provider.fleet import Fleet
from kip_conformance.infra.provider.host_ports import HostPorts
from kip_conformance.infra.provider.identity import load_identity
from kip_conformance.infra.provider.kube_client import KubeClient, path_of
from kip_conformance.infra.provider.kubelet_port.access import Access
from kip_conformance.infra.provider.kubelet_port.server import KubeletPort, serving_tls
from kip_conformance.infra.provider.launching import Launcher
from kip_conformance.infra.provider.node import VirtualNode
from kip_conformance.infra.provider.payload import Payload
from kip_conformance.infra.provider.placement import find_place
from kip_conformance.infra.provider.pods import Pods
from kip_conformance.infra.provider.policies.known import Policies
from kip_conformance.infra.provider.resolution import names_of_vpc
from kip_conformance.infra.provider.routes import CellRoutes
from kip_conformance.infra.provider.starts import Starts
from kip_conformance.infra.provider.surroundings import Surroundings, look_around
from kip_conformance.infra.provider.sweep import Sweep

__all__ = ["Options", "run"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line: what is no part of provider.yaml. Empty means: found out, or not used."""

    kubeconfig: Path | None
    node: str
    namespace: str = "kube-system"
    address: str = ""
    cluster_dns: str = ""
    cluster_domain: str = "cluster.local"
    network_agent_secret: str = ""
    cells_api_server: str = ""
    kubelet_port: int = 10250
    kubelet_certificate: Path | None = None
    kubelet_key: Path | None = None
    client_ca: Path | None = None
    patience: Patience = field(default_factory=Patience)


async def run(config: Config, options: Options) -> None:
    """Run until cancelled. Raises KipError for whatever keeps the provider from starting."""
    kube = KubeClient(options.kubeconfig)
    own = await look_around()
    aws = _settings(config.cloud.aws, own)
    config = dataclasses.replace(config, cloud=dataclasses.replace(config.cloud, aws=aws))
    cloud = Cloud(aws)
    place = await find_place(cloud, aws, own)
    identity = await load_identity(kube, options.namespace, f"kip-provider-{options.node}")
    token, api_ca = await _proxy_access(kube, options.network_agent_secret)
    told = tell_cells(
        config,
        cluster_dns=options.cluster_dns,
        cluster_domain=options.cluster_domain,
        api_server=options.cells_api_server or kube.server,
        api_ca=api_ca,
        token=token,
    )
    host_ip = options.address or (own.address if own else _address_towards(kube.server))
    fleet = Fleet(cloud, identity.controller)
    events = Events(kube, options.node)
    launcher = Launcher(config, cloud, identity, place, fleet, told, options.node)
    names = await names_of_vpc(cloud, place.vpc, aws.region, options.cluster_dns, options.cluster_domain)
    payload, policies = Payload(kube, names, host_ip), Policies(kube)
    facilities = Facilities(
        config,
        kube,
        events,
        fleet,
        launcher,
        payload,
        policies,
        Starts(),
        CellRoutes(cloud, place),
        identity.client_tls(),
        host_ip,
        options.node,
        own.vpc if own else "",
        options.patience,
        asyncio.Event(),
    )
    node = VirtualNode(
        options.node, host_ip, aws.region, place.zone, config.kubelet, "v1.36.0-kip-reference", options.kubelet_port
    )
    pods = Pods(facilities)
    port = _kubelet_port(pods, options, kube, host_ip)
    await fleet.refresh()
    await node.ensure(kube)
    _LOG.info("node %s at %s, cells in subnet %s of %s", options.node, host_ip, place.subnet, place.vpc)
    sweep = Sweep(facilities, pods, options.patience.sweep)
    ports = HostPorts(kube, events, host_ip, pods.addresses, facilities.moved, options.patience.sweep)

    async def keep_host_ports() -> None:
        # Before the pods are known, every mapping of an earlier process would look like one too many.
        await pods.followed.listed.wait()
        await ports.run()

    works = [node.keep(kube), events.run(), fleet.run(), policies.run(), pods.run(), sweep.run(), keep_host_ports()]
    works += [port.run()] if port is not None else []
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        # None of them ends by itself: the first that does has failed, and the provider with it.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5)


def _kubelet_port(pods: Pods, options: Options, kube: KubeClient, address: str) -> KubeletPort | None:
    """None without a certificate: the node has no logs and no exec then. Raises UsageError for half a set of files."""
    files = (options.kubelet_certificate, options.kubelet_key, options.client_ca)
    if not any(files):
        _LOG.warning("no --kubelet-certificate: nothing listens at the kubelet port, there are no logs and no exec")
        return None
    certificate, key, client_ca = files
    if certificate is None or key is None or client_ca is None:
        raise UsageError("--kubelet-certificate, --kubelet-key and --client-ca are given together")
    tls = serving_tls(certificate, key, client_ca)
    return KubeletPort(pods, Access(kube, options.node), tls, address, options.kubelet_port)


def _settings(aws: Aws, own: Surroundings | None) -> Aws:
    """With the region that calls really go to. Raises UsageError when nothing says which."""
    import boto3

    region = aws.region or boto3.session.Session().region_name or (own.region if own else "")
    if not region:
        raise UsageError("cloud.aws.region is needed: neither the environment nor an instance's metadata has one")
    return dataclasses.replace(aws, region=region)


async def _proxy_access(kube: KubeClient, secret: str) -> tuple[str, str]:
    """Token and CA of the Secret that cells use the API server with; empty without one. Raises UsageError."""
    if not secret:
        return "", ""
    namespace, slash, name = secret.partition("/")
    if not slash:
        raise UsageError(f"--network-agent-secret {secret}: it is written NAMESPACE/NAME")
    found = await kube.find(path_of("secrets", name, namespace))
    data = (found or {}).get("data") or {}
    if "token" not in data or "ca.crt" not in data:
        raise UsageError(f"--network-agent-secret {secret}: there is no such Secret with token and ca.crt")
    return base64.b64decode(data["token"]).decode(), base64.b64decode(data["ca.crt"]).decode()


def _address_towards(url: str) -> str:
    """The address of this machine that packets to the server carry."""
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname or "", parts.port or 443))
        return str(probe.getsockname()[0])
