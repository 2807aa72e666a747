"""Images that are pulled by a cell, and those that are not: credentials, digests, ways that do not exist."""

from __future__ import annotations

import json

import pytest
from kip_conformance.infra.lab.binaries.packages import unpacked_binary

PORT = 5001
HASH = "import crypt; print('someone:' + crypt.crypt('password', crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))"


@pytest.fixture(scope="module")
def closed(world):
    """The lab's images behind a password; the registry's host and port."""
    folder, pki = world.control.folder.path, world.authority.folder
    done = world.control.run(["/usr/bin/python3", "-W", "ignore", "-c", HASH])
    (folder / "htpasswd").write_bytes(done.stdout)
    config = json.loads((folder / "registry.json").read_text())
    config["http"]["addr"] = f"{world.server_address}:{PORT}"
    config["http"]["tls"] = {"certificate": f"{pki}/registry.crt", "key": f"{pki}/registry.key"}
    config["auth"] = {"htpasswd": {"realm": "closed", "path": str(folder / "htpasswd")}}
    (folder / "closed.json").write_text(json.dumps(config))
    program = unpacked_binary("docker-registry", "docker-registry", print)
    argv = [str(program), "serve", str(folder / "closed.json")]
    world.control.daemon("closed-registry", argv, machine=world.server)
    listening = ["sh", "-c", f"ss -ltn | grep -q ':{PORT} '"]
    world.until(lambda: world.control.run(listening, machine=world.server).returncode == 0, "it does not listen")
    return f"{world.server_address}:{PORT}"


def secret(host, password):
    return {"auths": {host: {"username": "someone", "password": password}}}


def waiting(status):
    return status["containerStatuses"][0]["state"].get("waiting", {})


def refused(cell):
    return cell.wait(lambda one: waiting(one).get("reason") in ("ErrImagePull", "ImagePullBackOff"))


def test_the_right_password_pulls_and_others_say_what_is_wrong(world, closed, cell):
    image = f"{closed}/pause@{world.images['pause']}"
    pod = world.pod({"image": image, "command": ["/pause", "-P"]})
    cell.agent.put(pod)
    without = refused(cell)
    other = world.cell()
    other.agent.put(pod, pullSecrets=[secret(closed, "wrong")])
    wrong = refused(other)
    world.end(other.instance)

    assert "authentication required" in waiting(without)["message"] or "unauthorized" in waiting(without)["message"]
    assert "invalid username/password" in waiting(wrong)["message"] or "unauthorized" in waiting(wrong)["message"]
    assert closed in waiting(wrong)["message"]
    cell.agent.put(pod, pullSecrets=[secret(closed, "password")])
    cell.running()


def test_a_digest_that_nobody_has_is_refused(world, cell):
    cell.agent.put(world.pod({"image": f"{world.image('prober').partition('@')[0]}@sha256:{'0' * 64}"}))
    status = refused(cell)

    assert "manifest unknown" in waiting(status)["message"]


def test_a_registry_that_is_not_reached_is_named(world, cell):
    cell.agent.put(world.pod({"image": f"{world.server_address}:5009/prober"}))
    status = cell.wait(lambda one: waiting(one).get("reason") == "ImagePullBackOff")

    assert f"{world.server_address}:5009" in waiting(status)["message"]
    said = [(one["reason"], one["message"].split(":")[0]) for one in status["events"]]
    assert ("Failed", f'Failed to pull image "{world.server_address}') in said
    assert ("BackOff", f'Back-off pulling image "{world.server_address}') in said
    cell.agent.stop(5)
    over = cell.wait(lambda one: one["phase"] == "Failed", within=4)
    assert "running" not in over["containerStatuses"][0]["state"]


def test_an_image_that_is_never_pulled_must_be_there(world, cell):
    cell.agent.put(world.pod({"imagePullPolicy": "Never"}))
    status = cell.wait(lambda one: waiting(one).get("reason") == "ErrImageNeverPull")

    assert "is not present with pull policy of Never" in waiting(status)["message"]


def test_a_keeper_that_is_killed_takes_its_containers_along_and_all_begins_again(world, cell):
    cell.agent.put(world.pod())
    before = cell.running()
    cell.run("sh", "-c", "kill -9 $(pgrep -f 'settings.json$')")
    after = cell.wait(
        lambda one: (
            one["containerStatuses"][0]["restartCount"] == 1 and "running" in one["containerStatuses"][0]["state"]
        )
    )

    assert after["podIP"] == before["podIP"]
    assert len(cell.run("pgrep", "-x", "sleep").split()) == 1
