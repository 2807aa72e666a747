"""Targets found by name, the planned places, and budgets."""

from __future__ import annotations

import pytest
from kip_conformance.infra.errors import UsageError
from kip_conformance.infra.judge.pairs import across_machines, each_of, on_one_machine
from kip_conformance.infra.targets.options import TargetOptions
from kip_conformance.infra.targets.plan import FOUNDATION, parse_pair
from kip_conformance.infra.targets.profile import BUDGETS, LARGEST_CONFORMANT, Profile, load_profile
from kip_conformance.infra.targets.protocol import Place
from kip_conformance.infra.targets.registry import create_target, known_targets


def test_the_targets_are_the_modules_that_create_one():
    assert "lab" in known_targets()
    assert not {"protocol", "options", "registry", "plan", "profile"} & set(known_targets())


@pytest.mark.parametrize("name", ["mars", "options", "os.path", "", "lab-2", ".lab"])
def test_an_unknown_target_is_told_what_is_known(name):
    with pytest.raises(UsageError, match=r"unknown target; known: .*lab"):
        create_target(name, TargetOptions("r1"))


def test_places_have_names_that_a_pair_can_be_read_from():
    names = [place.name for place in FOUNDATION]
    assert len(set(names)) == len(names)
    for client in names:
        for server in names:
            assert parse_pair(f"{client}-to-{server}") == (client, server)


@pytest.mark.parametrize("text", ["", "node-a", "node-a-to-", "-to-node-a", "node-a-to-node-b-to-host-a", "a to b"])
def test_what_is_no_pair_is_refused_with_what_is_known(text):
    with pytest.raises(UsageError, match=r"expected CLIENT-to-SERVER|unknown place"):
        parse_pair(text)


def test_overrides_win_over_the_file_and_the_file_over_the_set(tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text("budget: fault\npropagation: 4\nstart: 30\n")
    profile = load_profile(path, ["start=12.5"])
    assert profile == Profile("fault", 4.0, 12.5, BUDGETS["fault"].probe_timeout)


def test_an_empty_file_changes_nothing(tmp_path):
    path = tmp_path / "profile.yaml"
    path.write_text("# nothing yet\n")
    assert load_profile(path) == Profile()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a list", "must be a mapping"),
        ("1: 2", "must be a mapping"),
        ("a: [", "cannot be read"),
        ("start: -1", "start must be a number of seconds"),
        ("start: yes", "start must be a number of seconds"),
        ("start: .nan", "start must be a number of seconds"),
        ("start: .inf", "start must be a number of seconds"),
        ("budget: [1]", "unknown budget set"),
        ("budget: nope", "unknown budget set 'nope'"),
    ],
)
def test_a_bad_profile_file_is_one_line_that_names_it(tmp_path, text, words):
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"profile\.yaml") as caught:
        load_profile(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_budget_has_a_cap_and_the_shipped_sets_keep_it():
    for profile in BUDGETS.values():
        assert set(profile.budgets) == set(LARGEST_CONFORMANT)
        assert profile.beyond_cap == ()
    assert load_profile(overrides=["propagation=31"]).beyond_cap == ("propagation",)


def test_pairs_are_ordered_and_never_of_a_place_with_itself():
    here, there = (Place(name, "pod", name[0], "", (), (), "") for name in ("a1", "b1"))
    also = Place("a2", "pod", "a", "", (), (), "")
    everyone = (here, also, there)
    assert [(a.name, b.name) for a, b in on_one_machine(everyone, everyone)] == [("a1", "a2"), ("a2", "a1")]
    assert [(a.name, b.name) for a, b in across_machines(everyone, everyone)] == [
        ("a1", "b1"),
        ("a2", "b1"),
        ("b1", "a1"),
        ("b1", "a2"),
    ]
    pairs = across_machines([here], [there])
    assert list(each_of(pairs, lambda client, server: (client.name, server.name)).values()) == [("a1", "b1")]


def test_declared_features_replace_or_change_what_the_target_says():
    own = ("exec", "udp")
    assert load_profile().declared(own) == {"exec", "udp"}
    assert load_profile(overrides=["features=+sctp,-udp"]).declared(own) == {"exec", "sctp"}
    assert load_profile(overrides=["features=logs,+sctp"]).declared(own) == {"logs", "sctp"}
    with pytest.raises(UsageError, match="expected names, each plain"):
        load_profile(overrides=["features=Exec"])


def test_hurried_rows_have_the_budgets_of_faults_and_the_others_their_own():
    profile = load_profile(overrides=["hurried=SVC-01, DNS-05", "propagation=7"])
    assert profile.of_row("SVC-01").budgets == BUDGETS["fault"].budgets
    assert profile.of_row("SVC-02") is profile
    assert profile.propagation == 7
    with pytest.raises(UsageError, match=r"--profile hurried=svc-01: expected ids of rows, not 'svc-01'"):
        load_profile(overrides=["hurried=svc-01"])
