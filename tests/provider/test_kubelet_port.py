"""The virtual node's kubelet port, through a real API server and by itself."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .world import KUBELET_PORT, NODE


@pytest.fixture(scope="module")
def pod(world):
    pod = world.pod()
    world.wait_running(pod)
    yield pod
    world.delete(pod)


def kubectl(world, *arguments: str, stdin: str = "", by: str = "websocket") -> subprocess.CompletedProcess[str]:
    command = [str(world.tools["kubectl"]), "--kubeconfig", str(world.control.folder.kubeconfig), *arguments]
    env = {**os.environ, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true" if by == "websocket" else "false"}
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=30, check=False, env=env)


def ask(world, path: str, certificate: str = "", *, token: str = "") -> tuple[int, str]:
    """Ask the port itself, from the control plane's machine; returns the HTTP code (0: no answer) and the body."""
    pki = world.control.folder.pki
    words = ["curl", "-s", "--max-time", "10", "--cacert", f"{pki}/ca.crt", "-w", "\n%{http_code}"]
    words += ["--cert", f"{pki}/{certificate}.crt", "--key", f"{pki}/{certificate}.key"] if certificate else []
    words += ["-H", f"Authorization: Bearer {token}"] if token else []
    done = world.control.run([*words, f"https://10.20.1.11:{KUBELET_PORT}{path}"], machine="control-plane")
    body, _, code = done.stdout.decode().rpartition("\n")
    return int(code or 0), body


def test_kubectl_logs(world, pod):
    done = kubectl(world, "logs", pod["metadata"]["name"], "--tail=3", "--timestamps")

    assert done.stdout.startswith("log of main"), done.stderr
    assert "tailLines=3" in done.stdout
    assert "timestamps=true" in done.stdout


def test_kubectl_exec_is_passed_through_with_its_exit_code(world, pod):
    done = kubectl(world, "exec", "-i", pod["metadata"]["name"], "--", "cat", "a b", stdin="through and through")

    assert done.stdout == "['cat', 'a b'] through and through", done.stderr
    assert done.returncode == 7


def test_kubectl_get_shows_node_and_address(world, pod):
    done = kubectl(world, "get", "pod", pod["metadata"]["name"], "-o", "wide")

    assert NODE in done.stdout
    assert world.status(pod)["podIP"] in done.stdout


def test_without_a_certificate_nobody_gets_anything(world):
    assert ask(world, "/pods")[0] == 401
    assert ask(world, "/pods", token="nothing")[0] == 401


def test_a_certificate_of_the_cluster_is_not_enough(world):
    code, said = ask(world, "/pods", "scheduler")

    assert code == 403
    assert "system:kube-scheduler" in said


def test_the_api_server_s_certificate_and_an_admin_s_token_are(world):
    assert ask(world, "/healthz", "api-server-to-kubelet") == (200, "ok")
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    token = json.loads(world.api.request("POST", path, {"spec": {}}))["status"]["token"]
    assert ask(world, "/healthz", token=token)[0] == 403


def test_pods_are_listed(world, pod):
    _, said = ask(world, "/pods", "api-server-to-kubelet")

    assert pod["metadata"]["uid"] in [one["metadata"]["uid"] for one in json.loads(said)["items"]]


def test_what_is_not_there_is_said_so(world, pod):
    name = pod["metadata"]["name"]

    assert ask(world, f"/containerLogs/default/{name}/other", "api-server-to-kubelet")[0] == 404
    assert ask(world, "/containerLogs/default/nobody/main", "api-server-to-kubelet")[0] == 404
    assert ask(world, f"/exec/default/{name}/main?command=ls", "api-server-to-kubelet")[0] == 400
    assert ask(world, "/nothing", "api-server-to-kubelet")[0] == 404


def test_kubectl_exec_by_spdy_is_the_same(world, pod):
    """As older clients speak it, and API servers that do not pass a websocket through."""
    done = kubectl(world, "exec", "-i", pod["metadata"]["name"], "--", "cat", "a b", stdin="through", by="spdy")

    assert done.stdout == "['cat', 'a b'] through", done.stderr
    assert done.returncode == 7


def test_kubectl_exec_by_spdy_of_more_than_one_frame(world, pod):
    given = "0123456789" * 30_000
    done = kubectl(world, "exec", "-i", pod["metadata"]["name"], "--", "cat", stdin=given, by="spdy")

    assert done.stdout == "['cat'] " + given, done.stderr
