"""Parts of the cloud's API that need no server: filters, pages, the fault switch, tokens, the state on disk."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pytest
from kip_conformance.infra.cloud.api.call import Refusal
from kip_conformance.infra.cloud.api.errors import check_ids
from kip_conformance.infra.cloud.api.filters import matching, page
from kip_conformance.infra.cloud.api.registry import LIFETIME, Registry
from kip_conformance.infra.cloud.api.settings import Settings
from kip_conformance.infra.cloud.api.store import Store
from kip_conformance.infra.cloud.api.switch import Switch
from kip_conformance.infra.cloud.view import CloudView
from kip_conformance.infra.errors import EnvironmentFault, UsageError

SHAPES = [
    {"Id": "a", "Tags": [{"Key": "Name", "Value": "web-1"}], "Inner": [{"Port": 1}, {"Port": 2}], "IsOn": True},
    {"Id": "b", "Tags": [{"Key": "Name", "Value": "w*"}], "Inner": [], "IsOn": False},
]
PATHS = {"id": "Id", "port": "Inner.Port", "is-on": "IsOn"}


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("id", ["a", "b"], "ab"),
        ("id", [], ""),
        ("port", ["2"], "a"),
        ("is-on", ["false"], "b"),
        ("tag:Name", ["web-?"], "a"),
        ("tag:Name", ["w*"], "ab"),
        ("tag:Name", [r"w\*"], "b"),
        ("tag:Other", ["*"], ""),
        ("tag-key", ["Na*"], "ab"),
        ("tag-value", ["web-1"], "a"),
    ],
)
def test_filters(name, values, found):
    passed = matching(SHAPES, [{"Name": name, "Values": values}], PATHS)
    assert "".join(one["Id"] for one in passed) == found


def test_filters_are_and_ed_and_known():
    both = [{"Name": "id", "Values": ["a", "b"]}, {"Name": "is-on", "Values": ["true"]}]
    assert [one["Id"] for one in matching(SHAPES, both, PATHS)] == ["a"]
    with pytest.raises(Refusal, match="'colour' is invalid"):
        matching(SHAPES, [{"Name": "colour", "Values": ["red"]}], PATHS)


def test_pages_cover_everything_once():
    shapes = [{"Id": str(number)} for number in range(12)]
    seen, token = [], None
    while True:
        on_page, token = page(shapes, {"MaxResults": 5, "NextToken": token})
        seen += on_page
        if token is None:
            break
    assert seen == shapes


@pytest.mark.parametrize("token", ["x", "====", base64.b64encode(b"from:all").decode(), "é"])
def test_a_token_of_nobody_is_refused(token):
    with pytest.raises(Refusal) as caught:
        page([], {"NextToken": token})
    assert caught.value.code == "InvalidPaginationToken"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"InstanceIds": ["i-0123456789abcdef0", "i-1"]}, "InvalidInstanceID.Malformed"),
        ({"NetworkInterfaces": [{"SubnetId": "vpc-0123456789abcdef0"}]}, "InvalidSubnetID.Malformed"),
        ({"NetworkInterfaces": [{"Groups": ["sg-0123456789ABCDEF0"]}]}, "InvalidGroupId.Malformed"),
        ({"InstanceIds": ["i-01234567"], "Filters": [{"Name": "vpc-id", "Values": ["x"]}]}, None),
    ],
)
def test_ids_have_the_form_of_their_kind(params, code):
    if code is None:
        check_ids("Any", params)
        return
    with pytest.raises(Refusal) as caught:
        check_ids("Any", params)
    assert caught.value.code == code


def test_a_fault_holds_for_its_actions_and_times():
    switch = Switch()
    switch.replace([{"action": "Run*", "code": "InsufficientInstanceCapacity", "times": 2}])
    switch.meet("DescribeInstances")
    for _ in range(2):
        with pytest.raises(Refusal):
            switch.meet("RunInstances")
    switch.meet("RunInstances")


def test_the_same_seed_meets_the_same_calls():
    def met() -> list[bool]:
        switch = Switch()
        switch.replace([{"action": "*", "code": "Unavailable", "rate": 0.3}])
        calls = []
        for _ in range(50):
            try:
                switch.meet("RunInstances")
                calls.append(False)
            except Refusal as refusal:
                calls.append(refusal.status == 503)
        return calls

    assert met() == met()
    assert 5 < sum(met()) < 25


@pytest.mark.parametrize(
    "fault", [{}, {"action": "*"}, {"action": "*", "code": "x", "often": 1}, {"action": "*", "code": "x", "times": 0}]
)
def test_faults_that_cannot_be_switched_on(fault):
    with pytest.raises(UsageError):
        Switch().replace([fault])


def test_registry_tokens_expire_and_cannot_be_made_up(tmp_path):
    """Amazon ECR API Reference, GetAuthorizationToken: 12 hours."""
    now = 1_000_000.0
    state = SimpleNamespace(repositories={"app": SimpleNamespace(policy=None)})
    registry = Registry(Settings(tmp_path), lambda: state, clock=lambda: now)
    answer = json.loads(registry.authorization_token("AKIAEXAMPLE")[2])["authorizationData"][0]
    assert answer["expiresAt"] == now + LIFETIME == now + 12 * 3600
    password = base64.b64decode(answer["authorizationToken"]).decode().removeprefix("AWS:")
    assert registry.refusal(password, "app") == ""
    assert "no repository" in registry.refusal(password, "other")
    forged = base64.urlsafe_b64encode(b'{"key": "me", "expires": 1e12}').decode()
    for other in ("", "x", forged, f"{forged}.{password.partition('.')[2]}"):
        assert "not of this registry" in registry.refusal(other, "app")
    again = Registry(Settings(tmp_path), lambda: state, clock=lambda: now + LIFETIME)
    assert "expired" in again.refusal(password, "app")


class Backend:
    def __init__(self) -> None:
        self.things: list[str] = []


class Backends(dict):
    backend = Backend


def store_of(folder) -> tuple[Store, Backends]:
    backends = Backends({"account": {"here": Backend()}})
    return Store(folder, {"ec2": backends}, "account"), backends


def test_what_is_committed_is_on_disk_and_what_is_undone_is_gone(tmp_path):
    store, backends = store_of(tmp_path)
    backends["account"]["here"].things.append("kept")
    assert store.commit("ec2")
    version = store.version
    assert not store.commit("ec2")
    assert store.version == version
    backends["account"]["here"].things.append("refused")
    store.undo("ec2")
    assert backends["account"]["here"].things == ["kept"]
    assert not store.commit("ec2")
    again, others = store_of(tmp_path)
    again.load()
    assert others["account"]["here"].things == ["kept"]
    assert again.version > version


def test_a_file_that_was_being_written_counts_for_nothing(tmp_path):
    store, backends = store_of(tmp_path)
    backends["account"]["here"].things.append("kept")
    store.commit("ec2")
    (tmp_path / "ec2.state.new").write_bytes(b"half of")
    (tmp_path / "version").write_text("")
    again, others = store_of(tmp_path)
    again.load()
    assert others["account"]["here"].things == ["kept"]


def test_a_state_that_cannot_be_read_names_its_file(tmp_path):
    (tmp_path / "ec2.state").write_bytes(b"nonsense")
    with pytest.raises(EnvironmentFault, match=r"ec2\.state cannot be read"):
        store_of(tmp_path)[0].load()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}'])
def test_what_is_no_view(text):
    with pytest.raises(ValueError, match=r"Expecting value|no view of the cloud"):
        CloudView.from_json(text)
