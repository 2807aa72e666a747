"""gRPC probes of a pod whose server is a real one: etcd serves grpc.health.v1 beside its own API."""

from __future__ import annotations

from .streams import execute

SERVES = (
    "until [ -e /tmp/go ]; do sleep 0.1; done; exec /tmp/etcd --data-dir /tmp/data --log-level error "
    "--listen-client-urls http://0.0.0.0:2379 --advertise-client-urls http://127.0.0.1:2379 "
    "--listen-peer-urls http://127.0.0.1:2380"
)

INSTALLS = (
    "import os, shutil, sys\n"
    "with open('/tmp/etcd', 'wb') as file: shutil.copyfileobj(sys.stdin.buffer, file)\n"
    "os.chmod('/tmp/etcd', 0o755)\n"
    "open('/tmp/go', 'w').close()\n"
)


def said(status, words):
    return [one["message"] for one in status["events"] if one["reason"] == "Unhealthy" and words in one["message"]]


def test_a_pod_is_ready_when_its_grpc_server_says_so(world, cell):
    def probe(**what):
        return {"readinessProbe": {"grpc": {"port": 2379, **what}, "periodSeconds": 1, "timeoutSeconds": 2}}

    serves = {"command": ["sh", "-c", SERVES], **probe()}
    assert cell.agent.put(world.pod(serves, probe(service="nobody"))).status == 202
    cell.running()
    status = cell.wait(lambda one: said(one, "connection refused"))
    assert [one["ready"] for one in status["containerStatuses"]] == [False, False]

    program = world.tools["etcd"].read_bytes()
    copied = execute(cell.agent, "python3", "-c", INSTALLS, stdin=program)
    assert copied.exit_code == 0, copied.err
    status = cell.wait(lambda one: one["containerStatuses"][0]["ready"] and said(one, "an error instead of a status"))

    assert [one["ready"] for one in status["containerStatuses"]] == [True, False]
