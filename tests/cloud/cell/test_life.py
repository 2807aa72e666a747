"""Containers over their lives: order, restarts, probes, hooks, ends, and an agent that is killed meanwhile."""

from __future__ import annotations

import pytest

from .streams import execute


@pytest.fixture
def cells(world):
    """Make cells; all of them end with the test."""
    made = []

    def make(pod, **others):
        cell = world.cell()
        made.append(cell)
        answer = cell.agent.put(pod, **others)
        assert answer.status == 202, answer
        return cell

    yield make
    world.end(*(one.instance for one in made))


def reasons(status):
    return [one["reason"] for one in status["events"]]


def log(cell, container="c0", **options):
    answer = cell.agent.get(f"/v1/logs/{container}", **options)
    assert answer.status == 200, answer
    return answer.body.decode()


def test_init_containers_run_in_order_then_the_others_beside_a_sidecar(world, cells):
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}

    def writes(word, name):
        return {
            **shared,
            "name": name,
            "image": world.image("prober"),
            "command": ["sh", "-c", f"echo {word} >> /shared/order"],
        }

    sidecar = {**shared, "name": "side", "image": world.image("prober"), "restartPolicy": "Always"}
    sidecar["command"] = ["sh", "-c", "echo side >> /shared/order; exec sleep 1000000"]
    sidecar["startupProbe"] = {"exec": {"command": ["test", "-f", "/shared/order"]}, "periodSeconds": 1}
    pod = world.pod(
        {**shared, "command": ["sh", "-c", "cat /shared/order; exit 0"]},
        initContainers=[writes("first", "one"), sidecar, writes("second", "two")],
        volumes=[{"name": "shared", "emptyDir": {}}],
        restartPolicy="Never",
    )
    cell = cells(pod)
    status = cell.wait(lambda one: one["phase"] == "Succeeded")

    assert log(cell) == "first\nside\nsecond\n"
    assert [one["ready"] for one in status["initContainerStatuses"]] == [True, False, True]
    assert reasons(status)[:3] == ["Pulling", "Pulled", "Created"] or "Pulled" in reasons(status)


def test_a_container_that_fails_is_started_again_at_once_then_with_a_pause(world, cells):
    cell = cells(world.pod({"command": ["sh", "-c", "echo run $HOSTNAME; exit 3"]}))
    status = cell.wait(lambda one: "CrashLoopBackOff" in str(one["containerStatuses"][0]["state"]))

    (container,) = status["containerStatuses"]
    assert container["restartCount"] == 1
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert status["podIP"] == cell.pod_address
    assert status["phase"] == "Running"
    assert log(cell) == log(cell, previous="true") == "run pod-" + status_name(cell) + "\n"
    backs_off = next(one for one in status["events"] if one["reason"] == "BackOff")
    assert backs_off["message"].startswith("Back-off restarting failed container c0 in pod ")
    assert backs_off["fieldPath"] == "spec.containers{c0}"


def status_name(cell):
    return cell.agent.status()["uid"].removeprefix("uid-")


@pytest.mark.parametrize(
    ("policy", "command", "phase"), [("Never", "exit 5", "Failed"), ("OnFailure", "exit 0", "Succeeded")]
)
def test_a_pod_that_is_over(world, cells, policy, command, phase):
    status = cells(world.pod({"command": ["sh", "-c", command]}, restartPolicy=policy)).wait(
        lambda one: one["phase"] == phase
    )

    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == int(command[-1])


def test_probes_say_what_is_ready_and_restart_what_is_dead(world, cells):
    command = ["sh", "-c", "touch /tmp/alive /tmp/ready; exec sleep 1000000"]
    often = {"periodSeconds": 1, "failureThreshold": 1}
    probes = {
        "readinessProbe": {"exec": {"command": ["test", "-f", "/tmp/ready"]}, **often},
        "livenessProbe": {"exec": {"command": ["test", "-f", "/tmp/alive"]}, **often},
        "startupProbe": {"exec": {"command": ["true"]}, **often},
    }
    cell = cells(world.pod({"command": command, **probes}))
    cell.ready()
    execute(cell.agent, "rm", "/tmp/ready")
    unready = cell.wait(lambda one: not one["containerStatuses"][0]["ready"])
    assert "Readiness probe failed" in str(unready["events"])
    execute(cell.agent, "rm", "/tmp/alive")
    status = cell.wait(
        lambda one: one["containerStatuses"][0]["restartCount"] == 1 and one["containerStatuses"][0]["ready"]
    )

    said = [one["message"] for one in status["events"]]
    assert "Container c0 failed liveness probe, will be restarted" in said


def test_a_pod_is_stopped_with_its_hook_and_its_grace(world, cells):
    stubborn = {"command": ["sh", "-c", "trap 'echo asked' TERM; while true; do sleep 0.1; done"]}
    stubborn["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    polite = {"command": ["sh", "-c", "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done"]}
    cell = cells(world.pod(stubborn, polite))
    cell.running()
    assert cell.agent.stop(2).status == 202
    status = cell.wait(lambda one: all("terminated" in c["state"] for c in one["containerStatuses"]))

    assert [c["state"]["terminated"]["exitCode"] for c in status["containerStatuses"]] == [137, 0]
    assert log(cell) == "hook\nasked\n"
    assert log(cell, "c1") == "bye\n"
    assert "Stopping container c0" in str(status["events"])


def test_containers_outlive_the_agent(world, cells):
    cell = cells(world.pod({"command": ["sh", "-c", "while true; do echo tick; sleep 0.1; done"]}, {}))
    before = cell.ready()
    pid = cell.run("sh", "-c", "pgrep -f 'settings.json agent$'").split()[0]
    sleeper = cell.run("pgrep", "-x", "sleep")
    cell.run("kill", "-9", pid)
    world.until(cell.answers, "no new agent answers")
    status = cell.ready()

    assert cell.run("pgrep", "-f", "settings.json agent$").split()[0] != pid
    assert status["version"] > before["version"]
    assert [one["restartCount"] for one in status["containerStatuses"]] == [0, 0]
    assert [one["state"] for one in status["containerStatuses"]] == [
        one["state"] for one in before["containerStatuses"]
    ]
    assert set(cell.run("pgrep", "-x", "sleep").split()) & set(sleeper.split())
    assert execute(cell.agent, "echo", "here", container="c1").out == "here\n"
    cell.agent.stop(0)
    cell.wait(lambda one: all("terminated" in c["state"] for c in one["containerStatuses"]))


def test_an_end_that_no_agent_saw_is_not_lost(world, cells):
    cell = cells(
        world.pod(
            {"command": ["sh", "-c", "while [ ! -f /tmp/end ]; do sleep 0.1; done; exit 9"]}, restartPolicy="Never"
        )
    )
    cell.running()
    keeper = cell.run("pgrep", "-f", "settings.json$").split()[0]
    agent = cell.run("pgrep", "-f", "settings.json agent$").split()[0]
    cell.run(
        "sh", "-c", f"kill -STOP {agent}; touch /run/cell/pod/containers/c0-0/rootfs/tmp/end; sleep 1; kill -9 {agent}"
    )
    status = cell.wait(lambda one: one["phase"] == "Failed")

    assert keeper
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 9


def test_a_container_that_takes_too_much_memory_is_killed_and_says_so(world, cells):
    eats = {
        "command": ["python3", "-c", "held = bytearray(1 << 30)"],
        "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
    }
    status = cells(world.pod(eats, restartPolicy="Never")).wait(lambda one: one["phase"] == "Failed")

    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_what_cannot_be_started_says_why(world, cells):
    cell = cells(world.pod({"command": ["/no/such/program"]}, restartPolicy="Never"))
    status = cell.wait(lambda one: one["phase"] == "Failed")

    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert "/no/such/program" in ended["message"]


def test_the_environment_the_files_and_the_volumes_of_a_pod(world, cells):
    spec = {
        "command": ["sh", "-c", "exec sleep 1000000"],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "key"}}},
            {"name": "BOTH", "value": "$(POD_IP)-$(KEY)-$$(KEY)-$(NONE)"},
        ],
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("conf", "secret", "api", "scratch")],
        "securityContext": {"runAsUser": 1000, "readOnlyRootFilesystem": True},
    }
    volumes = [
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "secret", "secret": {"secretName": "hush", "defaultMode": 0o440}},
        {
            "name": "api",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                ]
            },
        },
        {"name": "scratch", "emptyDir": {"medium": "Memory"}},
    ]
    pod = world.pod(
        spec, volumes=volumes, hostname="me", subdomain="sub", hostAliases=[{"ip": "10.9.9.9", "hostnames": ["far"]}]
    )
    pod["metadata"]["labels"] = {"app": "x"}
    pod["spec"]["securityContext"] = {"fsGroup": 2000}
    sent = {
        "configMaps": {"conf": {"key": "value"}},
        "secrets": {"hush": {"word": "aHVzaA=="}},
        "tokens": {"api/token": "token-1"},
        "resolv": {"nameservers": ["10.96.0.10"], "searches": ["default.svc.cluster.local"], "options": ["ndots:5"]},
        "serviceEnv": {"KUBERNETES_SERVICE_HOST": "10.96.0.1"},
    }
    cell = cells(pod, **sent)
    cell.running()

    def sh(line):
        return execute(cell.agent, "sh", "-c", line).out

    assert sh("echo $BOTH $KUBERNETES_SERVICE_HOST") == f"{cell.pod_address}-value-$(KEY)-$(NONE) 10.96.0.1\n"
    assert sh("cat /conf/key /secret/word /api/token /api/labels") == 'valuehushtoken-1app="x"'
    assert sh("hostname; id -u; touch /x 2>&1; touch /scratch/y && echo written").split("\n")[:2] == ["me", "1000"]
    assert "written" in sh("touch /scratch/y && echo written")
    assert f"{cell.pod_address}\tme.sub.default.svc.cluster.local\tme\n" in sh("cat /etc/hosts")
    assert "10.9.9.9\tfar\n" in sh("cat /etc/hosts")
    assert sh("cat /etc/resolv.conf") == "search default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"

    sent["tokens"] = {"api/token": "token-2"}
    sent["configMaps"] = {"conf": {"key": "new", "more": "1"}}
    assert cell.agent.put(pod, **sent).status == 202
    assert sh("cat /conf/key /conf/more /api/token") == "new1token-2"


def test_another_image_in_the_same_pod_starts_its_container_again(world, cells):
    pod = world.pod()
    cell = cells(pod)
    cell.running()
    pod["spec"]["containers"][0]["image"] = world.image("prober").partition("@")[0]
    assert cell.agent.put(pod).status == 202
    status = cell.wait(
        lambda one: (
            one["containerStatuses"][0]["restartCount"] == 1 and "running" in one["containerStatuses"][0]["state"]
        )
    )

    assert "Container c0 definition changed, will be restarted" in str(status["events"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hostPID": True}, "spec.hostPID"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        ({"hostNetwork": True}, "spec.hostNetwork"),
    ],
)
def test_a_pod_that_asks_for_too_much_is_refused_by_its_field(world, cell, change, field):
    answer = cell.agent.put(world.pod(**change))

    assert answer.status == 400
    assert answer.error.startswith(f"{field}: ")


def test_a_cell_is_one_pods(world, cells):
    cell = cells(world.pod())
    answer = cell.agent.put(world.pod())

    assert answer.status == 409
    assert "uid-" in answer.error
