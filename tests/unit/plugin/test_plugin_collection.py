"""Collection: marks, parameters, order, selection; and listing without a cluster."""

from __future__ import annotations

import pytest

ROWS = """
@pytest.mark.requirement("SVC-01")
def test_service(mode, protocol): pass

@pytest.mark.requirement("P2P-01")
@pytest.mark.parametrize("protocol", ["tcp"])
def test_pods(protocol): pass

@pytest.mark.requirement("IDN-01")
def test_identity(): pass
"""


def listed(result: pytest.RunResult) -> list[str]:
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


def test_modes_come_one_after_the_other_and_rows_without_a_mode_first(world):
    world.suite(ROWS)
    result = world.run("--collect-only", "-q")
    assert result.ret == 0
    assert listed(result) == [
        "test_service[iptables-tcp]",
        "test_service[iptables-udp]",
        "test_pods[tcp]",
        "test_identity",
        "test_service[nftables-tcp]",
        "test_service[nftables-udp]",
    ]


def test_the_order_of_modes_is_the_user_s(world):
    world.suite(ROWS)
    result = world.run("--collect-only", "-q", "--proxy-mode", "nftables", "--proxy-mode", "iptables")
    assert listed(result)[0] == "test_service[nftables-tcp]"
    assert listed(result)[-1] == "test_service[iptables-udp]"


def test_rows_are_selected_by_id(world):
    world.suite(ROWS)
    result = world.run("--collect-only", "-q", "--requirement", "P2P-01", "--requirement", "IDN-01")
    assert listed(result) == ["test_pods[tcp]", "test_identity"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("P2P-01", ["test_pods[tcp]"]),
        ("svc-01", ["test_service[iptables-tcp]", "test_service[iptables-udp]"]),
        ("unique", ["test_identity"]),
        # A title may have the word too ("TCP between pods on one node"): as a parameter it means the parameter.
        ("tcp", ["test_service[iptables-tcp]", "test_pods[tcp]"]),
        ("udp", ["test_service[iptables-udp]"]),
    ],
)
def test_rows_are_found_by_id_and_by_the_words_of_their_titles(world, word, expected):
    world.suite(ROWS)
    assert listed(world.run("--collect-only", "-q", "--proxy-mode", "iptables", "-k", word)) == expected


def test_listing_starts_and_writes_nothing(world):
    world.suite(ROWS)
    before = sorted(path.name for path in world.path.iterdir())
    for option in ("--collect-only", "--fixtures", "--fixtures-per-test", "--setup-plan"):
        assert world.run(option).ret == 0
    assert world.events == []
    assert [path.name for path in world.path.iterdir() if path.name not in (*before, "__pycache__")] == []


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ('@pytest.mark.requirement("P2P-01")\n@pytest.mark.requirement("P2P-02")', "exactly one mark requirement(ID)"),
        ("@pytest.mark.requirement()", "exactly one mark requirement(ID); found none"),
        ('@pytest.mark.requirement("P2P-99")', "'P2P-99' is not in the registry; did you mean P2P-0"),
        ('@pytest.mark.requirement("P2P-01")\n@pytest.mark.skip', "the mark skip is not for suites"),
        ('@pytest.mark.requirement("P2P-01")\n@pytest.mark.xfail', "the mark xfail is not for suites"),
        ('@pytest.mark.requirement("P2P-01")\n@pytest.mark.needs("luck")', "needs 'luck': unknown; known: machine-"),
    ],
    ids=["two", "none", "unknown", "skip", "xfail", "needs"],
)
def test_a_wrong_mark_is_a_usage_error(world, marks, words):
    world.suite(f"{marks}\ndef test_row(): pass\n")
    result = world.run()
    assert result.ret == 4
    assert words in result.stderr.str()
    assert world.events == ["up", "down"]
    assert not (world.path / "out").exists()


def test_a_wrong_mark_that_a_worker_finds_is_a_usage_error(world):
    world.suite('@pytest.mark.requirement("P2P-99")\ndef test_row(): pass\n')
    result = world.run("-n", "1", own_process=True)
    assert result.ret == 4
    assert "requirement 'P2P-99' is not in the registry" in result.stdout.str()
    assert world.events == ["up", "down"]
    assert not (world.path / "out").exists()


def test_two_items_that_no_report_could_tell_apart_are_a_usage_error(world):
    row = '@pytest.mark.requirement("P2P-01")\ndef test_{}(): pass\n'
    world.suite(row.format("one") + row.format("two"))
    result = world.run("--collect-only")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*P2P-01 is judged by test_one too*"])


def test_nothing_selected_is_a_usage_error_and_leaves_nothing(world):
    world.suite(ROWS)
    assert world.run("-k", "nothing_is_called_that").ret == 4
    assert world.events == ["up", "down"]
    assert not (world.path / "out").exists()


def test_what_takes_minutes_is_judged_in_nightly_runs_alone(world):
    world.suite("""
@pytest.mark.requirement("P2P-06")
@pytest.mark.parametrize("idle", ["short", pytest.param("long", marks=pytest.mark.nightly)])
def test_idle(idle): pass
""")
    assert listed(world.run("--collect-only", "-q")) == ["test_idle[short]"]
    assert listed(world.run("--collect-only", "-q", "--kip-nightly")) == ["test_idle[short]", "test_idle[long]"]
    assert world.run("--kip-nightly").ret == 0
    (row,) = world.report["rows"]
    assert [item["parameters"]["idle"] for item in row["items"]] == ["long", "short"]
    assert all("--kip-nightly" in item["reproduce"] for item in row["items"])
    assert world.run().ret == 0
    assert [item["parameters"] for item in world.report["rows"][0]["items"]] == [{"idle": "short"}]
