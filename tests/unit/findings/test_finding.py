"""A finding's value is what the report's schema knows."""

from __future__ import annotations

from jsonschema import Draft202012Validator
from kip_conformance.infra.findings.finding import Evidence, Finding, Hop
from kip_conformance.reports.formats.conformance import schema

HOPS = (
    Hop("client", "node-a", "capture", True, "the probe left it"),
    Hop("peer machine", "node-b", "capture", False, "dropped it", "CNI"),
    Hop("listener", "node-b", "capture", None, "nothing came so far"),
)


def test_the_first_hop_that_is_not_ok_makes_the_headline():
    finding = Finding.of("node-a", "node-b", HOPS)
    assert finding.headline == "first broken hop: peer machine on node-b: dropped it (likely owner: CNI)"


def test_without_a_broken_hop_the_headline_is_the_other():
    assert Finding.of("node-a", "node-b", HOPS[:1], "it passed again").headline == "it passed again"


def test_the_value_keeps_to_the_schema():
    whole = schema()
    finding = Finding("a", "b", HOPS, "peer machine", "CNI", "x", (Evidence("evidence/a.txt", 3, "0f" * 32),), 1.5)
    value = finding.to_value()
    Draft202012Validator({**whole["$defs"]["finding"], "$defs": whole["$defs"]}).validate(value)
    assert value["evidence"] == [{"path": "evidence/a.txt", "bytes": 3, "sha256": "0f" * 32}]
