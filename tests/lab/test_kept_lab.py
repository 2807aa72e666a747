"""A lab that is kept: what a user does with it, by the commands a user has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.kube import KubeApi
from kip_conformance.infra.lab.state import LabFolder, new_run_id
from kip_conformance.infra.probe.probe_target import ProbeTarget
from kip_conformance.infra.targets.lab import LabCluster
from kip_conformance.infra.targets.protocol import ClusterDescription
from kip_conformance.infra.workloads.services import RESIDENTS
from kip_conformance.reports.requirements import load_requirements

from .conftest import assert_nothing_left, suites_command, surprises


def kip(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kip-conformance")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def kept():
    run_id = new_run_id()
    up = kip("up", "--run", run_id)
    assert up.returncode == 0, up.stderr
    yield run_id, up.stdout
    done = kip("clean", "--run", run_id)
    assert done.returncode == 0, done.stderr
    assert_nothing_left(run_id)


def judge(run_id: str, out: Path, *arguments: str) -> tuple[int, dict[str, set[str]], str]:
    """Run the suites against the lab; returns exit code, requirements by verdict, and the output."""
    command = suites_command("--attach", run_id, "--kip-out", str(out), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, cwd=out.parent)
    verdicts: dict[str, set[str]] = {}
    for row in yaml.safe_load((out / "report.yaml").read_text())["rows"]:
        verdicts.setdefault(row["verdict"], set()).add(row["requirement"])
    return done.returncode, verdicts, done.stdout


def test_up_prints_commands_that_work(kept):
    run_id, said = kept
    kubectl, cloud, attach, clean = (line.strip() for line in said.splitlines()[1:5])

    done = subprocess.run(kubectl.split(), capture_output=True, text=True, check=False)
    assert done.stdout.count("Running") >= 7, done.stdout + done.stderr
    ask = "import boto3; print(len(boto3.client('ec2').describe_instances()['Reservations']))"
    done = subprocess.run(["sh", "-c", f'{cloud}; "$0" -c "$1"', sys.executable, ask], capture_output=True, check=False)
    assert done.stdout == b"3\n", done.stderr
    assert attach.endswith(f"--attach {run_id}")
    assert clean == f"kip-conformance clean --run {run_id}"


def test_status_shows_it(kept):
    run_id, _ = kept
    labs = {lab["run"]: lab for lab in json.loads(kip("status", "--json").stdout)}

    assert (labs[run_id]["state"], labs[run_id]["kept"], labs[run_id]["dead"]) == ("up", True, [])
    assert run_id in kip("status").stdout


def test_every_row_passes_in_every_mode(kept, tmp_path):
    code, verdicts, said = judge(kept[0], tmp_path / "out", "-n", "2")

    rows = yaml.safe_load((tmp_path / "out" / "report.yaml").read_text())["rows"]
    assert (code, surprises(rows)) == (0, {}), said
    assert set(verdicts) == {"pass", "not-runnable"}  # the latter: rows about cells, of which this lab has none
    assert set().union(*verdicts.values()) == {row.id for row in load_requirements().values() if row.lane != "nightly"}


# Rows in which a pod of one node must get a TCP answer from one of the other node at port 8080.
AFFECTED = {
    *("IDN-04", "IDN-05", "IDN-06", "P2P-02", "P2P-06", "NOD-02", "MTU-02", "PXY-05", "EPT-01", "EPT-02", "AFF-01"),
    *("SVC-01", "SVC-03", "SVC-07", "SVC-15", "SVC-18", "HPT-01", "HPT-02", "HPT-05", "HPT-07", "HPT-10"),
}
# Rows in which the service proxy may choose an endpoint of the client's own node every time.
PERHAPS_AFFECTED = {"NPT-01", "NPT-05", "SVC-05", "SVC-10", "SVC-11", "SVC-16"}


def test_a_rule_planted_by_hand_turns_exactly_the_affected_rows_red(kept, tmp_path):
    run_id, _ = kept
    rule = "add chain ip byhand c { type filter hook forward priority 0; }; add rule ip byhand c tcp dport 8080 reject"
    # Between the two nodes only: what enters node-b from the wire. Same-node TCP, UDP and the hosts stay as they are.
    commands = f"add table ip byhand; {rule.replace('tcp dport', 'iifname eth0 ip saddr 10.244.1.0/24 tcp dport')}"
    planted = kip("exec", "--run", run_id, "node-b", "--", "nft", commands)
    assert planted.returncode == 0, planted.stderr
    try:
        hurried = ",".join(sorted(AFFECTED | PERHAPS_AFFECTED))
        options = ("--profile", f"hurried={hurried}", "--proxy-mode", "iptables", "-n", "2")
        code, verdicts, said = judge(run_id, tmp_path / "out", *options)
    finally:
        assert kip("exec", "--run", run_id, "node-b", "--", "nft", "delete table ip byhand").returncode == 0

    assert code == 1
    assert AFFECTED <= verdicts["fail"] <= AFFECTED | PERHAPS_AFFECTED, said
    assert "harness-error" not in verdicts
    # The headline says where: from the pods of node-a to those of node-b.
    report = yaml.safe_load((tmp_path / "out" / "report.yaml").read_text())
    row = next(row for row in report["rows"] if row["requirement"] == "IDN-04")
    (headline,) = [item["headline"] for item in row["items"] if item["verdict"] == "fail"]
    assert "every pair from machine node-a to machine node-b, this direction only" in headline
    # The first broken hop is the machine with the rule, and the finding names the rule.
    assert "first broken hop: peer machine on node-b" in headline
    assert "byhand" in (tmp_path / "out" / "report.yaml").read_text()


def test_a_service_that_was_asked_for_too_early_answers_every_time(kept):
    """An unanswered SYN to a ClusterIP stays in connection tracking, untranslated, long after the rules have come."""
    folder = LabFolder.of(kept[0])
    cluster = LabCluster(ClusterDescription.from_json(folder.description.read_text()))
    pods = tuple(place for place in cluster.places if place.kind == "pod")
    cluster.set_service_proxy("iptables")
    early = ProbeTarget("early", "10.96.200.1", 80, "tcp", tuple(pod.name for pod in pods), backend_port=8080)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "early", "namespace": RESIDENTS},
        "spec": {
            "clusterIP": early.address,
            "selector": {"kip-conformance/kind": "pod"},
            "ports": [{"port": 80, "targetPort": 8080}],
        },
    }
    api = KubeApi(folder.kubeconfig)
    with cluster.driver() as driver:
        expected = every_pair(cluster.places, (early, *pods), is_open(), with_self=True)
        assert driver.through(cluster.places, early) != expected
        api.create(service)
        try:
            eventually(lambda: driver.through(cluster.places, early), expected, within=20)
            # Far more often than the kernel's own choice of ports needs to come round to those of the first series.
            for _ in range(60):
                assert driver.through(cluster.places, early) == expected
        finally:
            api.delete("Service", "early", RESIDENTS)


def test_policies_hold_between_pods_of_one_node_and_of_two(kept):
    """default-deny with one peer allowed, by the routed CNI's policy agent; probes of the machine itself still pass."""
    folder = LabFolder.of(kept[0])
    cluster = LabCluster(ClusterDescription.from_json(folder.description.read_text()))
    pods = tuple(place for place in cluster.places if place.kind == "pod")
    mine, friend = pods[0], next(pod for pod in pods if pod.machine != pods[0].machine)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": RESIDENTS},
        "spec": {
            "podSelector": {"matchLabels": {"kip-conformance/place": mine.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"kip-conformance/place": friend.name}}}]}],
        },
    }
    api = KubeApi(folder.kubeconfig)

    def reaching(pod):
        seen = driver.all(cluster.places, (pod,), "tcp")
        return {client for (client, _), observation in seen.items() if observation.is_open}

    with cluster.driver() as driver:
        everybody = {place.name for place in cluster.places}
        to_mine, to_friend = everybody - {mine.name}, everybody - {friend.name}
        eventually(lambda: reaching(mine), lambda seen: seen == to_mine, within=10)
        api.create(policy)
        try:
            machine = {place.name for place in cluster.places if place.machine == mine.machine and place not in pods}
            eventually(lambda: reaching(mine), lambda seen: seen == {*machine, friend.name}, within=10)
            assert reaching(friend) == to_friend - {mine.name}
        finally:
            api.delete("NetworkPolicy", "closed", RESIDENTS)
        eventually(lambda: reaching(mine), lambda seen: seen == to_mine, within=10)
        eventually(lambda: reaching(friend), lambda seen: seen == to_friend, within=10)


def test_a_pair_is_rerun_in_seconds(kept, tmp_path):
    arguments = ["--requirement", "P2P-02", "--pair", "node-a-to-node-b"]
    code, verdicts, said = judge(kept[0], tmp_path / "out", *arguments)

    assert (code, verdicts) == (0, {"pass": {"P2P-02"}}), said


def test_a_dead_component_is_named_before_any_verdict(kept, tmp_path):
    run_id = new_run_id()
    assert kip("up", "--run", run_id).returncode == 0
    try:
        killed = kip("exec", "--run", run_id, "node-a", "--", "pkill", "-9", "kubelet")
        assert killed.returncode == 0
        command = suites_command("--attach", run_id, "--kip-out", str(tmp_path / "out"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 10
        assert "node-a: kubelet ended with" in done.stdout + done.stderr
    finally:
        assert kip("down", run_id).returncode == 0
    assert_nothing_left(run_id)


def test_a_name_in_use_is_refused(kept):
    again = kip("up", "--run", kept[0])

    assert again.returncode == 4
    assert f"run {kept[0]} exists already" in again.stderr


def test_attaching_to_no_lab_is_one_clear_line(tmp_path):
    command = suites_command("--attach", "nowhere", "--kip-out", str(tmp_path / "out"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode in (4, 10)
    assert "nowhere" in done.stdout + done.stderr


def test_exec_passes_the_exit_code_on(kept):
    assert kip("exec", "--run", kept[0], "node-a", "--", "sh", "-c", "exit 7").returncode == 7
    assert kip("exec", "--run", kept[0], "--network", "nic-node-a", "--", "nft", "list", "ruleset").returncode == 0


def test_the_kubeconfig_is_for_the_operator_alone(kept):
    assert LabFolder.of(kept[0]).kubeconfig.stat().st_mode & 0o077 == 0
