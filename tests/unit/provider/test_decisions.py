"""What the provider decides from what it is told, without a cluster or a cloud."""

from __future__ import annotations

import datetime

import pytest
from kip_conformance.infra.provider import status
from kip_conformance.infra.provider.config import Config
from kip_conformance.infra.provider.ending import grace_left
from kip_conformance.infra.provider.fleet import cell_of
from kip_conformance.infra.provider.groups import Rule, differences, rules_of, wanted_rules
from kip_conformance.infra.provider.host_port_rules import Mapping, ruleset
from kip_conformance.infra.provider.host_ports import Claim, claims_of, collide, settle
from kip_conformance.infra.provider.payload import token_life, wanted_objects
from kip_conformance.infra.provider.placement import AddressPicker, effective_table, is_public
from kip_conformance.infra.provider.resolution import Names, resolv_of
from kip_conformance.infra.provider.service_env import variables_of
from kip_conformance.infra.provider.wishes import Impossible, WrongAnnotation, wishes_of

NAMES = Names("10.96.0.10", "cluster.local", ("10.20.0.2",), ("eu-central-1.compute.internal",))


def pod(name: str = "web", *, annotations: dict | None = None, known: dict | None = None, **spec: object) -> dict:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations or {}}
    made = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "none"}], **spec}}
    return made | ({"status": known} if known else {})


# -- placement


def test_a_subnet_without_an_association_is_under_the_main_table():
    own = {"RouteTableId": "own", "Associations": [{"SubnetId": "a"}], "Routes": [{"GatewayId": "igw-1"}]}
    main = {"RouteTableId": "main", "Associations": [{"Main": True}], "Routes": [{"GatewayId": "local"}]}

    assert effective_table([main, own], "a") is own
    assert effective_table([own, main], "b") is main
    assert effective_table([], "b") is None
    assert is_public(own)
    assert not is_public(main)
    assert not is_public(None)
    assert not is_public({"Routes": [{"GatewayId": "igw-1", "State": "blackhole"}]})


def test_addresses_go_round_the_subnet_and_are_promised_once():
    picker = AddressPicker("10.0.0.0/28")
    assert picker.take(2, []) == ("10.0.0.4", "10.0.0.5")
    assert picker.take(2, ["10.0.0.6"]) == ("10.0.0.7", "10.0.0.8")
    picker.release(("10.0.0.4", "10.0.0.5"))
    assert picker.take(2, []) == ("10.0.0.9", "10.0.0.10")
    assert picker.take(5, []) == ("10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.4")
    assert picker.take(3, []) is None
    assert picker.take(2, []) == ("10.0.0.5", "10.0.0.6")


def test_an_instance_is_read_from_its_description():
    described = {
        "InstanceId": "i-1",
        "State": {"Name": "running"},
        "PrivateIpAddress": "10.0.0.4",
        "NetworkInterfaces": [
            {
                "NetworkInterfaceId": "eni-1",
                "PrivateIpAddresses": [
                    {"PrivateIpAddress": "10.0.0.4", "Primary": True},
                    {"PrivateIpAddress": "10.0.0.5", "Primary": False},
                ],
            }
        ],
        "Tags": [
            {"Key": "KipPodUID", "Value": "u"},
            {"Key": "KipStart", "Value": "3"},
            {"Key": "KipRestarts", "Value": "main=2 side=1"},
            {"Key": "KipRoutes", "Value": "172.31.0.0/24"},
        ],
    }
    cell = cell_of(described)

    assert (cell.primary, cell.secondary, cell.start, cell.uid) == ("10.0.0.4", "10.0.0.5", 3, "u")
    assert cell.restarts == {"main": 2, "side": 1}
    assert cell.routes == ("172.31.0.0/24",)
    assert cell.is_alive


# -- the security group


def test_the_group_admits_every_range_and_only_these():
    wanted = wanted_rules(["10.20.0.0/16", "100.64.0.0/20"], ["192.168.50.0/24"])
    assert len(wanted) == 9
    by_hand = Rule("tcp", 22, 22, "0.0.0.0/0")
    lacking = Rule("udp", 0, 65535, "10.20.0.0/16")

    assert differences((wanted - {lacking}) | {by_hand}, wanted) == ([lacking], [by_hand])


@pytest.mark.parametrize(
    "rule",
    [
        Rule("-1", -1, -1, "0.0.0.0/0"),
        Rule("icmp", -1, -1, "10.0.0.0/8"),
        Rule("tcp", 22, 22, "sg-1"),
        Rule("tcp", 22, 22, "pl-1"),
        Rule("tcp", 22, 22, "::/0"),
    ],
)
def test_a_rule_is_read_as_it_is_written(rule):
    assert rules_of([rule.permission()]) == {rule}


# -- status


def test_while_it_waits_a_pod_has_no_address_and_its_restarts_count_the_lost_cell():
    known = {"containerStatuses": [{"name": "main", "restartCount": 2, "state": {"running": {}}}], "startTime": "then"}
    made = status.waiting(pod(known=known), "10.0.0.1", "CellLost")

    assert made["podIP"] is None
    assert made["phase"] == "Pending"
    assert made["startTime"] == "then"
    assert made["containerStatuses"][0]["restartCount"] == 3
    assert made["containerStatuses"][0]["state"] == {"waiting": {"reason": "CellLost"}}


def test_a_readiness_gate_keeps_a_pod_from_being_ready():
    told = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.5"}
    gated = pod(readinessGates=[{"conditionType": "example/gate"}])

    def ready(item: dict) -> dict:
        (found,) = status.from_agent(item, told, "10.0.0.1", {})["conditions"]
        return found

    assert ready(gated)["status"] == "False"
    assert "example/gate" in ready(gated)["message"]
    assert ready({**gated, "status": {"conditions": [{"type": "example/gate", "status": "True"}]}})["status"] == "True"


def test_restarts_on_earlier_cells_are_added():
    told = {"containerStatuses": [{"name": "main", "restartCount": 1}]}

    made = status.from_agent(pod(), told, "10.0.0.1", {"main": 4})
    assert made["containerStatuses"][0]["restartCount"] == 5


def test_a_status_that_the_api_server_has_is_not_written_again():
    made = status.waiting(pod(), "10.0.0.1", "ContainerCreating")
    kept = {key: value for key, value in made.items() if value is not None}
    others = [{"type": "PodScheduled", "status": "True"}]
    known = pod(known={**kept, "conditions": [*made["conditions"], *others]})

    assert not status.differs(made, known)
    assert status.differs({**made, "podIP": "10.0.0.5"}, known)


def test_the_patch_replaces_addresses_and_leaves_the_time_of_a_condition_that_stays():
    told = {"phase": "Running", "podIPs": [{"ip": "10.0.0.5"}], "conditions": [{"type": "Ready", "status": "True"}]}
    known = pod(known={"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "then"}]})
    patch = status.patch_of(status.from_agent(known, told, "10.0.0.1", {}), known)

    assert patch["metadata"] == {"uid": "uid-web"}
    assert patch["status"]["podIPs"] == [{"$patch": "replace"}, {"ip": "10.0.0.5"}]
    assert patch["status"]["conditions"][0]["lastTransitionTime"] == "then"


def test_the_time_that_a_deleted_pod_has_left():
    noon = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    deleted = pod()
    deleted["metadata"] |= {"deletionTimestamp": "2026-01-01T12:00:20Z", "deletionGracePeriodSeconds": 30}

    assert grace_left(deleted, noon) == 20
    assert grace_left(deleted, noon + datetime.timedelta(minutes=1)) == 0
    assert grace_left(deleted, noon - datetime.timedelta(minutes=1)) == 30


# -- wishes


def test_wishes_come_from_annotations_and_from_provider_yaml():
    prefix = "pod.elotl.co/"
    asked = pod(
        annotations={
            f"{prefix}private-ip-only": "true",
            f"{prefix}cloud-route": "10.20.30.40/24 192.168.1.0/28",
            f"{prefix}instance-type": "c5.large",
            f"{prefix}healthcheck-healthy-timeout": "0",
            "other/annotation": "is others' business",
        }
    )
    wishes = wishes_of(asked, Config())

    assert wishes.private_only
    assert wishes.routes == ("10.20.30.0/24", "192.168.1.0/28")
    assert wishes.instance_type == "c5.large"
    assert wishes.healthy_timeout == 0


def test_more_groups_than_an_interface_may_have_are_refused():
    groups = ",".join(f"sg-{number}" for number in range(5))

    with pytest.raises(WrongAnnotation, match="more than the 5"):
        wishes_of(pod(annotations={"pod.elotl.co/security-groups": groups}), Config())


def test_what_no_cell_can_do_is_refused_by_field():
    with pytest.raises(Impossible, match=r"spec\.hostPID"):
        wishes_of(pod(hostPID=True), Config())


# -- host ports


def container(**port: object) -> dict:
    return {"name": "main", "image": "none", "ports": [port]}


def test_claims_are_of_pods_with_a_network_of_their_own():
    wanted = container(containerPort=80, hostPort=8080, hostIP="0.0.0.0")

    assert claims_of(pod(containers=[wanted])) == [Claim("tcp", "", 8080, 80)]
    assert claims_of(pod(containers=[wanted], hostNetwork=True)) == []
    assert claims_of(pod(containers=[container(containerPort=80)])) == []


def test_two_claims_collide_unless_protocol_port_or_address_differ():
    one = Claim("tcp", "", 80, 8080)

    assert collide(one, Claim("tcp", "10.0.0.1", 80, 9090))
    assert not collide(one, Claim("udp", "", 80, 8080))
    assert not collide(Claim("tcp", "127.0.0.1", 80, 1), Claim("tcp", "10.0.0.1", 80, 1))


def test_who_has_a_port_keeps_it_and_else_the_older_pod_gets_it():
    wanted = [container(containerPort=80, hostPort=8080)]
    older, newer = pod("older", containers=wanted), pod("newer", containers=wanted)
    older["metadata"]["creationTimestamp"], newer["metadata"]["creationTimestamp"] = "2026-01-01", "2026-01-02"
    pods = [(newer, "10.0.0.6"), (older, "10.0.0.5")]
    (claim,) = claims_of(older)

    first = settle(pods, {})
    assert [found[2] for found in first.mappings] == ["10.0.0.5"]
    assert [(one["metadata"]["name"], two["metadata"]["name"]) for one, _, two in first.refused] == [("newer", "older")]
    assert [found[2] for found in settle(pods, {claim: "uid-newer"}).mappings] == ["10.0.0.6"]


def test_rules_for_one_address_come_before_those_for_all():
    rules = ruleset([Mapping("tcp", "", 80, "10.0.0.5", 8080), Mapping("tcp", "127.0.0.1", 80, "10.0.0.6", 8080)])

    assert rules.index("10.0.0.6") < rules.index("10.0.0.5")
    assert ruleset([]).splitlines() == ["table ip kip-host-ports", "delete table ip kip-host-ports"]


# -- what an agent is given


def test_every_object_that_a_pod_names_is_found():
    asked = pod(
        volumes=[
            {"name": "a", "configMap": {"name": "one"}},
            {"name": "b", "secret": {"secretName": "two", "optional": True}},
            {
                "name": "c",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
                        {"configMap": {"name": "three"}},
                        {"secret": {"name": "four"}},
                    ]
                },
            },
            {"name": "d", "emptyDir": {}},
        ],
        initContainers=[{"name": "init", "image": "none", "envFrom": [{"secretRef": {"name": "five"}}]}],
        containers=[
            {
                "name": "main",
                "image": "none",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "six", "key": "k", "optional": True}}},
                ],
            }
        ],
    )

    assert sorted(wanted_objects(asked)) == [
        ("ConfigMap", "one", False),
        ("ConfigMap", "six", True),
        ("ConfigMap", "three", False),
        ("Secret", "five", False),
        ("Secret", "four", False),
        ("Secret", "two", True),
    ]
    assert token_life(asked) == 480
    assert token_life(pod()) is None


@pytest.mark.parametrize(
    ("spec", "servers", "searches", "options"),
    [
        (
            {},
            ["10.96.0.10"],
            ["default.svc.cluster.local", "svc.cluster.local", "cluster.local", "eu-central-1.compute.internal"],
            ["ndots:5"],
        ),
        ({"hostNetwork": True}, ["10.20.0.2"], ["eu-central-1.compute.internal"], []),
        ({"dnsPolicy": "Default"}, ["10.20.0.2"], ["eu-central-1.compute.internal"], []),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.2.3.4"], "options": [{"name": "edns0"}]}},
            ["1.2.3.4"],
            [],
            ["edns0"],
        ),
    ],
)
def test_names_are_resolved_by_the_pod_s_policy(spec, servers, searches, options):
    assert resolv_of(pod(**spec), NAMES) == {"nameservers": servers, "searches": searches, "options": options}


def test_the_pod_s_own_options_win():
    asked = pod(dnsConfig={"searches": ["example.com"], "options": [{"name": "ndots", "value": "2"}]})
    made = resolv_of(asked, NAMES)

    assert made["options"] == ["ndots:2"]
    assert made["searches"][-1] == "example.com"


def test_a_service_s_variables():
    ports = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    service = {"metadata": {"name": "my-web"}, "spec": {"clusterIP": "10.96.1.1", "ports": ports}}
    made = variables_of(service)

    assert made["MY_WEB_SERVICE_HOST"] == "10.96.1.1"
    assert made["MY_WEB_SERVICE_PORT_DNS"] == "53"
    assert made["MY_WEB_PORT"] == "tcp://10.96.1.1:80"
    assert made["MY_WEB_PORT_53_UDP_PROTO"] == "udp"
    assert variables_of({"metadata": {"name": "x"}, "spec": {"clusterIP": "None", "ports": ports}}) == {}
