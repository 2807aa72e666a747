"""A cell whose machine image brings its images along: how fast a pod runs, and what the agent costs."""

from __future__ import annotations

import re
import time

import pytest
from kip_conformance.infra.cell.user_data import render

MEMORY = 25 << 10
"""KiB that a cell may cost, agent and keeper together."""


@pytest.fixture(scope="module")
def store(world):
    folder = world.control.folder.path
    itzo = folder / "web" / f"itzo-{world.version}"
    argv = ["/usr/bin/python3", "-I", str(itzo), "bake", str(folder / "store"), str(world.authority.folder / "ca.crt")]
    done = world.control.run(
        [*argv, world.image("prober"), world.image("prober").partition("@")[0]], machine=world.server, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    return str(folder / "store")


def test_what_the_machine_image_has_is_not_pulled(world, store):
    cell = world.cell(image_store=store)
    pod = world.pod({}, {"image": world.image("prober").partition("@")[0], "imagePullPolicy": "IfNotPresent"})
    cell.agent.put(pod)
    status = cell.running()
    world.end(cell.instance)

    pulled = [one["message"] for one in status["events"] if one["reason"] in ("Pulled", "Pulling")]
    assert len(pulled) == 2
    assert all("already present on machine" in one for one in pulled)


def test_what_a_cell_costs(world, store, capsys):
    """The agent's and the keeper's share of memory, pages that cells share counted in parts."""
    cells = [world.cell(image_store=store) for _ in range(2)]
    for cell in cells:
        cell.agent.put(world.pod())
        cell.running()
    costs = [memory(cell) for cell in cells]
    world.end(*(cell.instance for cell in cells))
    with capsys.disabled():
        print(f"\n  memory of the cells, KiB: {costs}")

    assert all(sum(one.values()) < MEMORY for one in costs), costs


def memory(cell):
    found = {}
    for name, pattern in (
        ("agent", "settings.json agent$"),
        ("keeper", "settings.json$"),
        ("launcher", "^sh -c while"),
    ):
        for pid in cell.run("sh", "-c", f"pgrep -f '{pattern}' || true").split():
            shown = cell.run("sh", "-c", f"grep -s ^Pss: /proc/{pid}/smaps_rollup || true")
            if match := re.search(r"(\d+) kB", shown):
                found[f"{name}-{pid}"] = int(match[1])
    return found


def test_from_the_call_to_a_running_pod(world, store, capsys):
    """RunInstances, boot, agent, pod: on an idle machine two seconds; here only that it is no matter of minutes."""
    took = []
    for _ in range(3):
        number = next(world._hosts)
        address, pod_address = f"10.20.1.{number}", f"10.20.2.{number}"
        user_data = render(world.settings(address, pod_address, image_store=store))
        port = world.offer(address)
        began = time.monotonic()
        instance = world.launch(user_data, address, pod_address)
        cell = world.attach(instance, address, pod_address, port)
        world.until(cell.answers, "the agent does not answer")
        answered = time.monotonic()
        cell.agent.put(world.pod())
        cell.running()
        took.append((answered - began, time.monotonic() - began))
        with capsys.disabled():
            print("\n ", f"agent answers after {took[-1][0]:.2f} s, pod runs after {took[-1][1]:.2f} s")
            print(cell.console())
        world.end(instance)

    assert sorted(one for _, one in took)[1] < 20
