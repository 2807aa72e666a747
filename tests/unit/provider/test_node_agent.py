"""The policy agent of a kubelet node: what it enforces, by an API server and a packet filter that are lists."""

from __future__ import annotations

import asyncio
import contextlib

from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.provider.policies import node_agent

CLOSED = {"ingress": [], "egress": None}


def pod(name, address, node="node-a", **spec):
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "c"}], **spec},
        "status": {"phase": "Running", "podIP": address},
    }


def policy(name, app):
    spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress"]}
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"policy-{name}"}, "spec": spec}


class Lists:
    """In the place of Followed: its objects are put in by the test."""

    def __init__(self):
        self.made = {}

    def __call__(self, _client, path, selector, changed, gone):
        one = self.made[path.rpartition("/")[2] + selector] = _List(changed, gone)
        return one


class _List:
    def __init__(self, changed, gone):
        self.changed, self.gone, self.objects = changed, gone, {}
        self.listed = asyncio.Event()
        self.listed.set()

    async def run(self):
        await asyncio.Event().wait()

    def add(self, item):
        self.objects[item["metadata"]["uid"]] = item
        self.changed(item)

    def remove(self, item):
        self.gone(self.objects.pop(item["metadata"]["uid"]))


def judged(monkeypatch, scenario, problems=()):
    """What was enforced while the scenario ran; the first loads fail with `problems`."""
    lists, enforced, left = Lists(), [], list(problems)
    monkeypatch.setattr("kip_conformance.infra.provider.policies.known.Followed", lists)
    monkeypatch.setattr(node_agent, "Followed", lists)
    monkeypatch.setattr(node_agent, "_PAUSE", 0)

    def enforce(wanted):
        if left:
            raise left.pop(0)
        enforced.append(dict(wanted))

    async def run():
        agent = asyncio.create_task(node_agent.police(None, "node-a", enforce))

        async def comes(wanted):
            async with asyncio.timeout(5):
                while not enforced or enforced[-1] != wanted:
                    await asyncio.sleep(0.001)

        await asyncio.sleep(0)
        try:
            await scenario(lists.made, comes)
        finally:
            agent.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await agent

    asyncio.run(run())
    return enforced


def everywhere(lists, item):
    lists["pods"].add(item)
    if item["spec"]["nodeName"] == "node-a":
        lists["podsfieldSelector=spec.nodeName=node-a"].add(item)


async def _pods_come_and_go(lists, comes):
    await comes({})
    everywhere(lists, pod("web", "10.0.0.1"))
    everywhere(lists, pod("far", "10.0.9.1", "node-b"))
    everywhere(lists, pod("host", "10.20.0.1", hostNetwork=True))
    for app in ("web", "far", "host"):
        lists["networkpolicies"].add(policy(app, app))
    await comes({"10.0.0.1": CLOSED})
    own = lists["podsfieldSelector=spec.nodeName=node-a"]
    own.remove(own.objects["web"])
    await comes({})


def test_only_pods_of_the_node_that_are_selected_are_policed(monkeypatch):
    judged(monkeypatch, _pods_come_and_go)


def test_rules_that_cannot_be_loaded_are_tried_again(monkeypatch):
    assert judged(monkeypatch, _pods_come_and_go, [CellProblem("nft: busy")] * 3)[0] == {}
