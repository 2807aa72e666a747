"""What becomes of an item: each way to end has its verdict, in the report, in JUnit and in the exit code."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

_ERRORS = "from kip_conformance.infra.errors import HarnessError, NotRunnable"


def item(body: str, requirement: str = "P2P-01", arguments: str = "") -> str:
    return f'{_ERRORS}\n@pytest.mark.requirement("{requirement}")\ndef test_row({arguments}):\n    {body}\n'


def fixture(body: str) -> str:
    return f"@pytest.fixture\ndef prepared():\n    {body}\n"


def junit(world) -> ElementTree.Element:
    (case,) = ElementTree.parse(world.path / "out" / "junit.xml").getroot().iter("testcase")
    return case


@pytest.mark.parametrize(
    ("body", "verdict", "code", "element"),
    [
        ("pass", "pass", 0, None),
        ("assert 1 == 2, 'node-a saw nothing'", "fail", 1, "failure"),
        ("pytest.fail('node-a saw nothing')", "fail", 1, "failure"),
        ("raise HarnessError('prober gone')", "harness-error", 10, "error"),
        ("raise KeyError('oops')", "harness-error", 10, "error"),
        ("raise NotRunnable('no second node')", "not-runnable", 0, "skipped"),
        ("pytest.skip('not here')", "not-runnable", 0, "skipped"),
    ],
    ids=["pass", "assertion", "pytest-fail", "harness-error", "bug", "not-runnable", "skip"],
)
def test_each_way_to_end_has_its_verdict(world, body, verdict, code, element):
    world.suite(item(body))
    result = world.run()
    assert world.verdicts == {"P2P-01": verdict}
    assert result.ret == code
    found = [child.tag for child in junit(world) if child.tag in ("failure", "error", "skipped")]
    assert found == ([element] if element else [])


def test_a_failure_beside_a_dead_resident_is_a_harness_error(world):
    world.tell(crashed=True)
    world.suite(item("assert False, 'exec into node-b was refused'"))
    assert world.run().ret == 10
    assert world.items[0]["reason"].startswith("the resident pod of place node-b does not run")


def test_a_feature_that_is_declared_and_not_there_fails_the_row(world):
    world.tell(features=["node-port"])
    world.suite(item("raise KeyError('never run')", "N2P-07"))
    result = world.run("--profile", "features=+exec")
    assert result.ret == 1
    (row,) = world.items
    assert row["headline"] == "the profile declares exec, and the cluster does not have it"
    assert [child.tag for child in junit(world) if child.tag in ("failure", "error")] == ["failure"]


def test_a_feature_that_is_there_and_not_declared_is_hinted_at(world):
    world.tell(features=["exec", "node-port"])
    world.suite(item("pass", "N2P-07"))
    assert world.run("--profile", "features=node-port").ret == 0
    (row,) = world.items
    assert row["verdict"] == "not-runnable"
    assert row["reason"].endswith("does not declare exec (the cluster has exec: declare it to have this judged)")


def test_a_feature_that_nobody_knows_is_refused(world):
    world.suite(item("pass"))
    assert world.run("--profile", "features=+bananas").ret == 4


def test_a_proxy_that_does_not_follow_is_a_harness_error_before_any_row(world):
    world.tell(stays=["nftables"])
    world.suite(item("raise KeyError('never run')", "SVC-01"))
    assert world.run("--proxy-mode", "nftables").ret == 10
    assert world.items[0]["reason"].endswith("nftables was asked for, and the proxies report iptables")


def test_junit_properties_name_requirement_level_mode_and_verdict(world):
    world.suite(item("raise HarnessError('prober gone')", "SVC-01"))
    world.run("--proxy-mode", "nftables")
    properties = {each.get("name"): each.get("value") for each in junit(world).iter("property")}
    assert properties == {
        "requirement": "SVC-01",
        "level": "M",
        "mode": "nftables",
        "verdict": "harness-error",
        "reason": "prober gone",
    }


def test_an_assertion_in_set_up_is_a_harness_error(world):
    world.suite(
        "@pytest.fixture\ndef broken():\n    assert False, 'never came up'\n" + item("pass", arguments="broken")
    )
    assert world.run().ret == 10
    assert world.verdicts == {"P2P-01": "harness-error"}
    assert "while setting up: AssertionError: never came up" in world.items[0]["reason"]


@pytest.mark.parametrize(
    ("body", "verdict", "code"), [("pass", "harness-error", 10), ("assert False, 'seen'", "fail", 1)]
)
def test_a_tear_down_error_turns_a_pass_into_a_harness_error_and_leaves_a_fail(world, body, verdict, code):
    world.suite(
        "@pytest.fixture\ndef untidy():\n    yield\n    raise OSError('left')\n" + item(body, arguments="untidy")
    )
    assert world.run().ret == code
    assert world.verdicts == {"P2P-01": verdict}


def test_a_failure_beside_a_dead_component_is_a_harness_error(world):
    world.suite(item("Path('dead.txt').touch(); assert False, 'no answer'"))
    assert world.run().ret == 10
    reason = world.items[0]["reason"]
    assert reason == "node-a: kubelet ended with 137; meanwhile the check saw: no answer"


def test_a_missing_feature_is_not_runnable_and_says_so(world):
    world.tell(features=["node-port"])
    world.suite(item("pass", "N2P-07"))
    assert world.run().ret == 0
    assert world.verdicts == {"N2P-07": "not-runnable"}
    assert world.items[0]["reason"] == "the target does not declare exec"


def test_a_missing_ability_is_not_runnable(world):
    world.suite(_ERRORS + '\n@pytest.mark.needs("capture")\n@pytest.mark.requirement("P2P-01")\ndef test_row(): pass\n')
    world.run()
    assert world.items[0]["reason"] == "the target does not declare capture"


def test_a_planned_place_that_is_absent_leaves_the_row_partial(world):
    world.tell(absent=["node-b-2"])
    world.suite(item("assert len(pods) == 3", arguments="pods"))
    result = world.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*pass (partial)*"])


def test_places_that_are_all_absent_make_the_row_not_runnable(world):
    world.tell(absent=["host-a", "host-b"])
    world.suite(item("pass", arguments="hosts"))
    world.run()
    assert world.verdicts == {"P2P-01": "not-runnable"}


def test_a_grid_that_differs_is_drawn_with_a_headline(world):
    world.suite(
        """
from kip_conformance.infra.judge.expectations import every_pair, is_open
from kip_conformance.infra.judge.grid import Grid
from kip_conformance.infra.probe.observation import Observation
"""
        + item(
            """seen = {(a.name, b.name): Observation("open", peer=b.name) for a in pods for b in pods if a != b}
    seen["node-a", "node-b"] = Observation("timeout")
    assert Grid(seen, title="all pods") == every_pair(pods, pods, is_open())""",
            arguments="pods",
        )
    )
    result = world.run()
    assert result.ret == 1
    (failed,) = world.items
    assert failed["headline"].startswith("node-a -> node-b: expected open, saw timeout (1 of 12 pairs differ")
    result.stdout.fnmatch_lines(["*FAIL *P2P-01*", "*node-a -> node-b: expected open*", "*T!*"])


def test_a_tester_who_asks_for_tracebacks_gets_them(world):
    world.suite(item("assert 1 == 2, 'node-a saw nothing'"))
    world.run("--tb=short").stdout.fnmatch_lines(["*= FAILURES =*", "*AssertionError: node-a saw nothing*"])


def test_tests_beside_ours_count_too(world):
    world.suite(item("pass") + "\ndef test_other():\n    assert False\n")
    assert world.run().ret == 1
    assert world.verdicts == {"P2P-01": "pass"}
