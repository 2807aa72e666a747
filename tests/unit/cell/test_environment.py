"""A container's environment, the downward API, quantities."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.environment import environment, expand, field_value, resource_value
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.quantities import bytes_of, cores_of

from .some_pod import facts


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$(NONE)", "$(NONE)"),
        ("$A", "$A"),
        ("$$$(A)", "$1"),
        ("$(", "$("),
    ],
)
def test_references(text, becomes):
    assert expand(text, {"A": "1", "B": "2"}) == becomes


def test_later_sources_win_and_values_may_refer_to_earlier_ones():
    container = {
        "envFrom": [{"configMapRef": {"name": "conf"}, "prefix": "P_"}, {"secretRef": {"name": "hush"}}],
        "env": [
            {"name": "A", "value": "own"},
            {"name": "B", "value": "$(A)-$(P_key)-$(word)"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
        ],
    }
    made = environment(container, facts(service_env={"A": "service"}), ["PATH=/bin", "A=image"])

    assert made == {
        "PATH": "/bin",
        "A": "own",
        "P_key": "value",
        "P_other": "1",
        "word": "secret",
        "B": "own-value-secret",
        "IP": "10.0.0.9",
    }


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "conf", "key": "k"}}, "couldn't find key k in ConfigMap shop/conf"),
        ({"secretKeyRef": {"name": "hush", "key": "k"}}, "couldn't find key k in Secret shop/hush"),
        ({"fieldRef": {"fieldPath": "spec.what"}}, "fieldPath spec.what"),
        ({"fileKeyRef": {}}, "fileKeyRef is no source"),
    ],
)
def test_what_is_missing_is_named_as_kubelet_does(source, said):
    with pytest.raises(CellProblem, match=said):
        environment({"env": [{"name": "X", "valueFrom": source}]}, facts(), [])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="x"\ntier="a\\nb"'),
        ("spec.nodeName", "kip-node"),
        ("status.hostIP", "10.0.0.5"),
    ],
)
def test_fields(path, value):
    assert field_value(path, facts()) == value


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1m", "1500"),
        ("limits.cpu", "1", "2"),
        ("requests.cpu", "1m", "0"),
        ("limits.memory", "1Mi", "64"),
        ("requests.memory", "0", "0"),
    ],
)
def test_resources(resource, divisor, value):
    container = {"resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}}
    assert resource_value({"resource": resource, "divisor": divisor}, container, facts()) == value


def test_a_limit_that_is_not_set_is_the_machines():
    assert resource_value({"resource": "limits.memory"}, {}, facts()) == str(1 << 30)
    assert resource_value({"resource": "limits.cpu"}, {}, facts()) == "2"


@pytest.mark.parametrize(
    ("text", "amount"), [("64Mi", 64 << 20), ("1e3", 1000), ("1.5k", 1500), ("100m", 1), (7, 7), ("2G", 2 * 10**9)]
)
def test_bytes(text, amount):
    assert bytes_of(text) == amount


@pytest.mark.parametrize(("text", "amount"), [("250m", 0.25), ("2", 2.0), (1.5, 1.5)])
def test_cores(text, amount):
    assert cores_of(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "x", "1Q", "1 Mi", "--1"])
def test_no_quantities(text):
    with pytest.raises(CellProblem, match="is no quantity"):
        bytes_of(text)
