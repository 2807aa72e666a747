"""Pods of a row's own: what a plan becomes, and what is read of them."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.machines.traces import PodTraces, pod_traces
from kip_conformance.infra.targets.protocol import Completed, Place, PodRef
from kip_conformance.infra.workloads.first_instruction import early_container, read_report
from kip_conformance.infra.workloads.ports import bound
from kip_conformance.infra.workloads.reading import Ran

PLACE = Place("node-a", "pod", "node-a", "10.0.0.1", ("10.0.0.1",), (8080,), "/s", PodRef("ns", "node-a", "u"))


class Machine:
    name = "node-a"

    def __init__(self, code: int, output: bytes) -> None:
        self.done = Completed((), code, output, b"no such file")

    def run(self, argv, **_):
        return self.done


class Reader:
    def __init__(self, ran):
        self.ran = ran

    def run(self, place, argv):
        return self.ran


def test_the_report_of_the_first_instruction_is_read_between_what_programs_say():
    assert read_report("nc: timed out\ntcp 1\ndns 0\n") == {"tcp": "failed", "dns": "works"}
    assert read_report("tcp 0\nnslookup: no\ndns 0") == {"tcp": "works", "dns": "works"}
    with pytest.raises(HarnessError, match="left no report but 'tcp 0'"):
        read_report("tcp 0")


def test_the_first_container_asks_once_with_whole_seconds():
    container = early_container("image", PLACE, "kubernetes.default", timeout=0.5)

    script = container["command"][-1]
    assert "nc -w 1 10.0.0.1 8080" in script
    assert '-retry=1 "kubernetes.default.svc.$domain"' in script


def test_traces_are_lines_with_their_kind():
    seen = pod_traces(Machine(0, b"route: 10.0.0.1 dev  veth1\nreservation: /var/lib/cni/networks/n/10.0.0.1\n"), "", 3)

    assert seen.kinds == {"route", "reservation"}
    assert str(seen) == "route: 10.0.0.1 dev veth1; reservation: /var/lib/cni/networks/n/10.0.0.1"
    assert str(PodTraces(())) == "nothing"


def test_a_machine_that_cannot_be_read_is_no_clean_machine():
    with pytest.raises(HarnessError, match=r"node-a: cannot look for 10\.0\.0\.1: no such file"):
        pod_traces(Machine(1, b""), "10.0.0.1", 3)


def test_binding_a_port_tells_its_outcome():
    assert bound(Reader(Ran(0, "EADDRINUSE\n")), PLACE, "tcp", 80) == "EADDRINUSE"
    with pytest.raises(HarnessError, match="node-a: could not try to bind tcp 80: no exec"):
        bound(Reader(Ran(None, refusal="no exec")), PLACE, "tcp", 80)
