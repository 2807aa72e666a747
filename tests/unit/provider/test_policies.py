"""What NetworkPolicies mean for a pod, and the packet-filter rules that a cell makes of it."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.policy import policy_rules
from kip_conformance.infra.cell.problems import Refused
from kip_conformance.infra.provider.policies.resolve import World, peer_of, policy_of
from kip_conformance.infra.provider.policies.selectors import selects

OPEN = {"ingress": None, "egress": None}
NAMESPACES = {"shop": {"team": "shop"}, "bank": {"team": "bank"}}


def pod(name, namespace="shop", *, address="", ports=(), phase="Running", **spec):
    """A pod with the label app=NAME."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "ports": list(ports)}], **spec},
        "status": {"phase": phase, "podIPs": [{"ip": address}] if address else []},
    }


def policy(namespace="shop", selector=None, **spec):
    spec.setdefault("policyTypes", [name.capitalize() for name in ("ingress", "egress") if name in spec])
    return {"metadata": {"namespace": namespace}, "spec": {"podSelector": selector or {}, **spec}}


WEB = pod("web", address="10.0.0.1", ports=[{"name": "http", "containerPort": 8080}])
PODS = [
    WEB,
    pod("cart", address="10.0.0.2", ports=[{"name": "http", "containerPort": 9090}]),
    pod("till", "bank", address="10.0.0.3", ports=[{"name": "http", "containerPort": 7070, "protocol": "UDP"}]),
    pod("done", address="10.0.0.4", phase="Succeeded"),
    pod("host", address="10.0.9.9", hostNetwork=True),
    pod("new"),
]


def meant(*policies, of=WEB):
    return policy_of(of, World(policies, [peer_of(one) for one in PODS], NAMESPACES))


def sources(direction="ingress", *policies):
    """Addresses of the only rule."""
    (rule,) = meant(*policies)[direction]
    return rule["peers"]["addresses"]


@pytest.mark.parametrize(
    ("selector", "is_so"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "cart"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors(selector, is_so):
    assert selects(selector, {"app": "web"}) is is_so


def test_without_a_policy_everything_passes():
    assert meant() == OPEN
    assert meant(policy(selector={"matchLabels": {"app": "other"}}, ingress=[])) == OPEN
    assert meant(policy("bank", ingress=[])) == OPEN


def test_a_direction_is_isolated_when_a_policy_names_it():
    assert meant(policy(policyTypes=["Ingress"])) == {"ingress": [], "egress": None}
    assert meant(policy(policyTypes=["Ingress", "Egress"])) == {"ingress": [], "egress": []}
    assert meant(policy(policyTypes=[], egress=[{}])) == {"ingress": [], "egress": [{"peers": None, "ports": None}]}


def test_policies_add_up_and_an_empty_rule_lets_everything_pass():
    both = meant(policy(ingress=[]), policy(ingress=[{}]))
    assert both == {"ingress": [{"peers": None, "ports": None}], "egress": None}


def test_peers_by_pod_by_namespace_and_by_both():
    pods, spaces = {"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"team": "bank"}}}
    cart = {"podSelector": {"matchLabels": {"app": "cart"}}}

    assert sources("ingress", policy(ingress=[{"from": [pods]}])) == ["10.0.0.1", "10.0.0.2"]
    assert sources("ingress", policy(ingress=[{"from": [spaces]}])) == ["10.0.0.3"]
    assert sources("ingress", policy(ingress=[{"from": [cart, spaces]}])) == ["10.0.0.2", "10.0.0.3"]
    assert meant(policy(ingress=[{"from": [{**cart, **spaces}]}]))["ingress"] == []
    assert sources("egress", policy(egress=[{"to": [{"namespaceSelector": {}}]}])) == [
        *("10.0.0.1", "10.0.0.2", "10.0.0.3")
    ]


def test_blocks_keep_what_they_leave_out_and_ipv6_is_nobody_s():
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}
    (rule,) = meant(policy(ingress=[{"from": [{"ipBlock": block}, {"ipBlock": {"cidr": "fd00::/8"}}]}]))["ingress"]
    assert rule["peers"] == {"addresses": [], "blocks": [block]}


def test_ports_by_number_range_and_protocol():
    ports = [{"port": 80}, {"protocol": "UDP", "port": 53}, {"port": 90, "endPort": 99}, {"protocol": "SCTP"}]
    (rule,) = meant(policy(ingress=[{"ports": ports}]))["ingress"]
    assert rule["ports"] == [
        {"protocol": "TCP", "port": 80, "endPort": None},
        {"protocol": "UDP", "port": 53, "endPort": None},
        {"protocol": "TCP", "port": 90, "endPort": 99},
        {"protocol": "SCTP", "port": None, "endPort": None},
    ]


def test_a_named_port_is_the_pod_s_own_for_ingress():
    (rule,) = meant(policy(ingress=[{"ports": [{"port": "http"}]}]))["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080, "endPort": None}]
    assert meant(policy(ingress=[{"ports": [{"port": "nothing"}]}]))["ingress"] == []
    assert meant(policy(ingress=[{"ports": [{"port": "http", "protocol": "UDP"}]}]))["ingress"] == []


def test_a_named_port_is_each_destination_s_for_egress():
    everybody = {"namespaceSelector": {}}
    found = meant(policy(egress=[{"to": [everybody], "ports": [{"port": "http"}, {"port": 53, "protocol": "UDP"}]}]))
    by_name = {tuple(one["peers"]["addresses"]): [port["port"] for port in one["ports"]] for one in found["egress"]}
    assert by_name == {("10.0.0.1", "10.0.0.2", "10.0.0.3"): [53], ("10.0.0.1",): [8080], ("10.0.0.2",): [9090]}


def test_a_pod_on_the_host_network_has_no_policy():
    assert meant(policy(ingress=[]), of=PODS[4]) == OPEN


# -- on the machine


def test_no_policy_is_no_table():
    assert policy_rules({}) == "table ip kip_policy\ndelete table ip kip_policy\n"
    assert policy_rules({"10.0.0.1": {}}) == policy_rules({"10.0.0.1": OPEN}) == policy_rules({})


def test_rules_are_peers_by_ports_and_end_with_a_drop():
    rule = {
        "peers": {"addresses": ["10.0.0.3", "10.0.0.2"], "blocks": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]},
        "ports": [{"protocol": "TCP", "port": 90, "endPort": 99}, {"protocol": "UDP", "port": None, "endPort": None}],
    }
    made = policy_rules({"10.0.0.1": {"ingress": [rule], "egress": None}})

    assert lines(made, "ingress_10_0_0_1") == [
        "ip saddr 10.0.0.1 return",
        "ip saddr { 10.0.0.2, 10.0.0.3 } tcp dport 90-99 return",
        "ip saddr { 10.0.0.2, 10.0.0.3 } meta l4proto udp return",
        "ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 tcp dport 90-99 return",
        "ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 meta l4proto udp return",
        "counter drop",
    ]
    assert "egress" not in made


def test_egress_is_judged_by_where_it_goes():
    rule = {"peers": {"addresses": ["10.0.0.2"], "blocks": []}, "ports": None}
    made = policy_rules({"10.0.0.1": {"ingress": None, "egress": [rule]}})
    assert lines(made, "egress_10_0_0_1") == [
        "ip daddr 10.0.0.1 return",
        "ip daddr { 10.0.0.2 } return",
        "counter drop",
    ]


def test_a_flow_between_two_pods_is_judged_at_both_and_the_machines_own_at_none():
    closed = {"ingress": [], "egress": []}
    made = policy_rules({"10.0.0.2": closed, "10.0.0.1": closed})

    ends = [
        "ip saddr vmap { 10.0.0.1 : jump egress_10_0_0_1, 10.0.0.2 : jump egress_10_0_0_2 }",
        "ip daddr vmap { 10.0.0.1 : jump ingress_10_0_0_1, 10.0.0.2 : jump ingress_10_0_0_2 }",
    ]
    assert lines(made, "forwarded")[-2:] == ends
    assert lines(made, "sent")[-3:] == [ends[0], "fib saddr type local accept", ends[1]]


def lines(rules, chain):
    """Of one chain."""
    body = rules.partition(f"chain {chain} {{\n")[2].partition("\n  }\n")[0]
    return [line.strip() for line in body.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "ingress",
    [
        [{"peers": {"addresses": ["10.0.0.1; flush ruleset"], "blocks": []}, "ports": None}],
        [{"peers": None, "ports": [{"protocol": "TCP accept", "port": 1, "endPort": None}]}],
        [{"peers": None, "ports": [{"protocol": "TCP", "port": "http", "endPort": None}]}],
        [{"peers": {"addresses": [], "blocks": [{"cidr": "10.0.0.0/33", "except": []}]}, "ports": None}],
        [{"ports": None}],
        "all",
    ],
)
def test_what_is_no_policy_is_refused(ingress):
    with pytest.raises(Refused):
        policy_rules({"10.0.0.1": {"ingress": ingress, "egress": None}})
