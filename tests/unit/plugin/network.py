"""A network and an API server for world.py's cluster: enough for the rows of the suites, with defects on demand.

world.json says which: `drop` lists [client, server, protocol] that get no answer, `snat` clients whose source is
another, `never` endpoints that no Service chooses, `shared` two places with one address, and so on.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import fake
from kip_conformance.fixtures import run
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.kube import ApiRefusal
from kip_conformance.infra.probe.driver import Driver
from kip_conformance.infra.probe.observation import Observation
from kip_conformance.infra.workloads import reading, services


class FakeDriver(Driver):
    """The real driver, asking this file instead of probers."""

    turns = itertools.count()

    def _observe(self, questions, timeout, options):
        self.defects = {key: fake.told(key, []) for key in ("never", "drop", "dead", "snat", "silent")}
        if self.defects["silent"]:
            raise HarnessError("place node-a: no reply line")
        return [(question, self._see(question.client, question.target)) for question in questions]

    def _see(self, client, target):
        if target.address == "127.0.0.1":  # its own listener
            return Observation("wrong_peer", peer=client)
        peers = [peer for peer in target.peers if peer not in self.defects["never"]] or list(target.peers)
        peer = peers[next(self.turns) % len(peers)]
        if [client, peer, target.protocol] in self.defects["drop"] or target.name in self.defects["dead"]:
            return Observation("timeout")
        source = "192.0.2.1" if client in self.defects["snat"] else self._places[client].sources[0]
        return Observation("open", peer=peer, seen_source=source, rtt=0.001)

    def _ask(self, place, message, wait):
        assert message == {"op": "addresses"}
        address = "192.0.2.9" if place.name in fake.told("renumbered", []) else place.address
        addresses = [{"address": address, "prefix": 24}]
        common = {"mtu": 1500, "up": True, "mac": ""}
        loopback = {"name": "lo", "index": 1, "addresses": [{"address": "127.0.0.1", "prefix": 8}]}
        return {"interfaces": [loopback | common, {"name": "eth0", "index": 2, "addresses": addresses} | common]}


class FakeApi:
    """The objects of the API as the cluster's description implies them."""

    def __init__(self, kubeconfig):
        pass

    def list(self, kind, namespace=None, *, labels=None):
        if kind == "Node":
            addresses = {"node-a": "10.9.0.1", "node-b": "10.9.0.2"}
            return [
                {
                    "metadata": {"name": name},
                    "status": {"addresses": [{"type": "InternalIP", "address": address}]},
                }
                for name, address in addresses.items()
            ]
        return [self._pod(place) for place in fake.describe("any").places if place.pod is not None]

    def find(self, kind, name, namespace=None):
        return next((pod for pod in self.list(kind) if pod["metadata"]["name"] == name), None)

    def _pod(self, place):
        first, *others = fake.told("shared", [""])
        address = "10.0.0.1" if place.name in (first, *others) else place.address
        status = {"phase": "Running"}
        if place.name not in fake.told("without_ip", []):
            order = ["192.0.2.2", address] if place.name in fake.told("second", []) else [address]
            status |= {"podIP": address, "podIPs": [{"ip": one} for one in order]}
        return {
            "metadata": {"namespace": place.pod.namespace, "name": place.name, "uid": place.pod.uid},
            "spec": {"nodeName": place.machine, "hostNetwork": place.kind == "hostnet"},
            "status": status,
        }

    def request(self, method, path, body=None):
        name = path.split("/pods/")[1].split("/")[0]
        if name in fake.told("no_logs", []):
            raise ApiRefusal(f"{method} {path}", 500, "InternalError", "kubelet said no")
        return f"prober {name} ready: tcp and udp".encode()

    def create(self, manifest):
        fake.event(f"create {manifest['spec']['type']} {manifest['spec']['ports'][0]['protocol']}")
        ports = [port | {"nodePort": 30001} for port in manifest["spec"]["ports"]]
        return manifest | {"spec": manifest["spec"] | {"clusterIP": "10.96.0.9", "ports": ports}}

    def delete(self, kind, name, namespace=None):
        fake.event(f"delete {kind}")


async def run_in_pod(kubeconfig, pod, argv, timeout):
    if pod.name in fake.told("no_exec", []):
        return reading.Ran(None, refusal="exec was refused: HTTP 500")
    return reading.Ran(3, f"{argv[-1].split(chr(39))[1]}\n")


def install():
    run.open_driver = lambda cluster, worker, pairs: FakeDriver(cluster.places, {}, Path("none"), pairs=pairs or None)
    reading.KubeApi = services.KubeApi = FakeApi
    reading._run = run_in_pod
