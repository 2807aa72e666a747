"""Defects of the simulated network itself, and for each the facts that must notice it.

Some are another state of the network than the one that was asked for; others are done by hand in a namespace, where no
state could say them. The API knows of none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kip_conformance.infra.fabric.groups import ANYWHERE, EVERYTHING
from kip_conformance.infra.fabric.names import (
    internet_gateway_namespace,
    nat_namespace,
    nic_namespace,
    router_device,
    router_namespace,
    vpn_gateway_namespace,
)
from kip_conformance.infra.fabric.reconcile import Fabric, reconcile
from kip_conformance.infra.fabric.state import (
    Association,
    Group,
    GroupRule,
    Interface,
    NetworkState,
    PrefixList,
    Route,
    RouteTable,
    VpnConnection,
)

from .world import PUBLIC_WEB, world

__all__ = ["FAULTS", "NetworkFault"]

_ROUTER, _PEER_ROUTER = router_namespace("main"), router_namespace("peer")
_GATEWAY, _NAT = internet_gateway_namespace("igw-main"), nat_namespace("nat")


@dataclass(frozen=True)
class NetworkFault:
    """`noticed_by` are facts, by name, that must come out otherwise; others may.

    `state` makes the defective state of the right one. `here`, `do` and `undo` are a namespace, and shell commands.
    `within` is how long, in seconds, an answer is waited for.
    """

    name: str
    sentence: str
    noticed_by: tuple[str, ...]
    state: Callable[[NetworkState], NetworkState] | None = None
    here: str = ""
    do: str = ""
    undo: str = ""
    within: float = 1.2

    @contextmanager
    def planted(self, fabric: Fabric) -> Iterator[None]:
        """For the length of the block."""
        if self.state is not None:
            reconcile(fabric, self.state(world()))
            try:
                yield
            finally:
                reconcile(fabric, world())
            return
        _shell(fabric, self.here, self.do)
        try:
            yield
        finally:
            _shell(fabric, self.here, self.undo)


def _shell(fabric: Fabric, netns: str, script: str) -> None:
    done = fabric.executor.run(["sh", "-ec", script], netns=netns)
    assert done.returncode == 0, f"{netns}: {script}: {done.stderr.decode()}"


def _table(name: str, change: Callable[[RouteTable], RouteTable]) -> Callable[[NetworkState], NetworkState]:
    """One route table changed."""
    return lambda state: replace(
        state,
        vpcs=tuple(
            replace(vpc, route_tables=tuple(change(each) if each.name == name else each for each in vpc.route_tables))
            for vpc in state.vpcs
        ),
    )


def _without_route(table: str, destination: str) -> Callable[[NetworkState], NetworkState]:
    return _table(table, lambda t: replace(t, routes=tuple(r for r in t.routes if r.destination != destination)))


def _with_route(table: str, destination: str, target: str) -> Callable[[NetworkState], NetworkState]:
    return _table(
        table,
        lambda t: replace(
            t, routes=(*(r for r in t.routes if r.destination != destination), Route(destination, target))
        ),
    )


def _group(name: str, change: Callable[[Group], Group]) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(state, groups=tuple(change(g) if g.name == name else g for g in state.groups))


def _interface(name: str, change: Callable[[Interface], Interface]) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(
        state, interfaces=tuple(change(each) if each.name == name else each for each in state.interfaces)
    )


def _association(public: str, interface: str, private: str) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(
        state,
        associations=(
            *(each for each in state.associations if each.public != public and each.private != private),
            Association(public, interface, private),
        ),
    )


def _prefix_list(name: str, *cidrs: str) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(
        state, prefix_lists=tuple(PrefixList(name, cidrs) if p.name == name else p for p in state.prefix_lists)
    )


def _vpn(change: Callable[[VpnConnection], VpnConnection]) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(state, vpn_connections=tuple(change(each) for each in state.vpn_connections))


def _subnet_in_table(subnet: str, table: str) -> Callable[[NetworkState], NetworkState]:
    return lambda state: replace(
        state,
        vpcs=tuple(
            replace(vpc, subnets=tuple(replace(s, route_table=table) if s.name == subnet else s for s in vpc.subnets))
            for vpc in state.vpcs
        ),
    )


def _chain(family: str, hook: str, rule: str) -> str:
    """A chain of our own in front of all others."""
    return f"nft 'add table {family} byhand; add chain {family} byhand c {{ type filter hook {hook} priority -400; }}; add rule {family} byhand c {rule}'"  # noqa: E501


# All tables that end with such a default.
_DEFAULTS = "for t in $(ip route show table all | sed -n 's/^{} default.* table \\([0-9]*\\).*/\\1/p');"
_TUNNEL = "d=$(ip -o route get 192.168.50.10 | sed 's/.* dev \\([^ ]*\\).*/\\1/');"

_NO_CHAIN = "nft 'delete table ip byhand'"

FAULTS = (
    NetworkFault(
        "route-missing-one-way", "the way back over a peering is missing", ("peer-in", "peer-out"),
        _without_route("peer-public", "10.20.0.0/16"),
    ),
    NetworkFault(
        "route-to-the-wrong-interface", "a route leads to another interface", ("route-to-an-interface",),
        _with_route("private", "10.244.0.0/24", "eni-app"),
    ),
    NetworkFault(
        "blackhole-forgotten", "a blackhole route is not there", ("blackhole",),
        _without_route("private", "198.51.100.128/25"),
    ),
    NetworkFault(
        "table-of-another-subnet", "a subnet uses the table of another one", ("no-route-to-a-peer",),
        _subnet_in_table("private-b", "public"),
    ),
    NetworkFault(
        "unreachable-instead-of-silence", "who has no route is told so", ("no-route-to-a-peer",),
        here=_ROUTER,
        do=f"{_DEFAULTS.format('blackhole')} do ip route add unreachable default table $t metric 4294967294; done",
        undo=f"{_DEFAULTS.format('unreachable')} do ip route del unreachable default table $t; done",
        # A message that comes while connect() itself still sends the SYN ends nothing: what draws the next one does,
        # a SYN sent again after one second and after three. A host is sent one such message a second.
        within=4.5,
    ),
    NetworkFault(
        "group-rule-not-applied", "a rule of a group lets nobody in", ("group-as-source-udp",),
        _group("friends", lambda g: replace(g, ingress=g.ingress[:1])),
    ),
    NetworkFault(
        "group-too-open", "a group lets everybody in", ("ingress-denied",),
        _group("quiet", lambda g: replace(g, ingress=(*g.ingress, GroupRule("all", ANYWHERE)))),
    ),
    NetworkFault(
        "group-member-missing", "a group does not know one of its members", ("group-as-source-udp", "egress-group"),
        _interface("eni-other", lambda i: replace(i, groups=("inside",))),
    ),
    NetworkFault(
        "group-of-the-wrong-members", "a group has a member that is none", ("group-keeps-others-out",),
        _interface("eni-bare", lambda i: replace(i, groups=("open", "friends"))),
    ),
    NetworkFault(
        "egress-not-enforced", "what may leave is not looked at", ("egress-denied",),
        _group("quiet", lambda g: replace(g, egress=EVERYTHING)),
    ),
    NetworkFault(
        "egress-port-ignored", "rules for what leaves have no ports", ("egress-other-port",),
        _group("narrow", lambda g: replace(g, egress=(*g.egress, GroupRule("tcp", ANYWHERE)))),
    ),
    NetworkFault(
        "prefix-list-cut", "a prefix list has lost a range", ("prefix-list",),
        _prefix_list("pl-offices", "10.20.2.0/25"),
    ),
    NetworkFault(
        "source-check-left-off", "an interface sends from any address", ("source-check",),
        _interface("eni-app", lambda i: replace(i, source_dest_check=False)),
    ),
    NetworkFault(
        "source-check-left-on", "an interface takes only its own packets, though the check is off",
        ("route-to-an-interface",),
        _interface("eni-0123456789abcdef0", lambda i: replace(i, source_dest_check=True)),
    ),
    NetworkFault(
        "public-address-of-another", "a public address leads to another instance", ("out-by-public-address",),
        _association(PUBLIC_WEB, "eni-bare", "10.20.1.20"),
    ),
    NetworkFault(
        "gateway-translates-any-address", "an internet gateway gives a public address to who has none",
        ("no-public-address",),
        here=_GATEWAY,
        do="nft 'add element ip gateway public_of { 10.20.1.20 : 203.0.113.77 }; add element ip gateway private_of {"
        " 203.0.113.77 : 10.20.1.20 }; add element ip gateway pairs { 203.0.113.77 . 10.20.1.20 }; add element ip"
        " gateway associated { 10.20.1.20 }'; ip -n internet route add 203.0.113.77 via 169.254.0.1 dev"
        " $(ip -n internet -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2) onlink",
        undo="nft 'delete element ip gateway public_of { 10.20.1.20 }; delete element ip gateway private_of {"
        " 203.0.113.77 }; delete element ip gateway pairs { 203.0.113.77 . 10.20.1.20 }; delete element ip gateway"
        " associated { 10.20.1.20 }'; ip -n internet route del 203.0.113.77",
    ),
    NetworkFault(
        "secondary-address-as-primary", "an internet gateway takes a secondary address for the primary one",
        ("secondary-public-out",),
        here=_GATEWAY,
        do="nft 'delete element ip gateway public_of { 10.20.1.12 }; add element ip gateway public_of { 10.20.1.12 :"
        " 203.0.113.11 }; add element ip gateway pairs { 203.0.113.11 . 10.20.1.12 }'",
        undo="nft 'delete element ip gateway public_of { 10.20.1.12 }; add element ip gateway public_of { 10.20.1.12 :"
        " 203.0.113.12 }; delete element ip gateway pairs { 203.0.113.11 . 10.20.1.12 }'",
    ),
    NetworkFault(
        "nat-leaks-the-private-source", "a NAT gateway sends on without translating", ("nat-tcp", "nat-udp"),
        here=_NAT,
        do="nft 'flush chain ip gateway postrouting'",
        undo="nft 'add rule ip gateway postrouting ip saddr != 10.20.1.5 snat to 10.20.1.5'",
    ),
    NetworkFault(
        "nat-takes-anything", "a NAT gateway answers to who asks it",
        ("nat-closed-inwards", "nat-closed-to-the-vpc"),
        here=_NAT,
        do="nft 'chain ip gateway input { policy accept; }'",
        undo="nft 'chain ip gateway input { policy drop; }'",
    ),
    NetworkFault(
        "propagation-off", "routes of a VPN do not appear in a table", ("propagated-route",),
        _table("public", lambda t: replace(t, propagating=())),
    ),
    NetworkFault(
        "propagation-everywhere", "routes of a VPN appear in a table that does not propagate",
        ("propagation-is-per-table",),
        _table("isolated", lambda t: replace(t, propagating=("vgw",))),
    ),
    NetworkFault(
        "vpn-range-forgotten", "a VPN carries one of two ranges", ("vpn-second-range", "vpn-from-second-range"),
        _vpn(lambda c: replace(c, routes=tuple(r for r in c.routes if r != "10.250.0.0/24"))),
    ),
    NetworkFault(
        # Less, not more: who has learned a path's MTU keeps to it for ten minutes.
        "vpn-mtu-wrong", "a tunnel carries less than it should", ("vpn-mtu-out", "vpn-mtu-in"),
        here=vpn_gateway_namespace("vgw"),
        do=f"{_TUNNEL} ip link set $d mtu 1300; ip -n m-onprem-gw link set t-vpn mtu 1300",
        undo=f"{_TUNNEL} ip link set $d mtu 1419; ip -n m-onprem-gw link set t-vpn mtu 1419;"
        " for n in $(ls /run/netns); do ip -n $n route flush cache; done",
    ),
    NetworkFault(
        "peering-transitive", "a peering leads on to the peer's peer", ("peer-not-transitive",),
        here=_PEER_ROUTER,
        do="ip rule add pref 105 iif p-pcx-far lookup 100; ip rule add pref 106 iif p-pcx lookup 100",
        undo="ip rule del pref 105; ip rule del pref 106",
    ),
    NetworkFault(
        "endpoint-in-another-table", "a gateway endpoint serves a subnet whose table does not name it",
        ("s3-only-by-its-table",),
        _with_route("isolated", "pl-s3", "s3-main"),
    ),
    NetworkFault(
        "endpoint-for-every-service", "a gateway endpoint leads to other services", ("endpoint-is-for-its-service",),
        _prefix_list("pl-s3", "192.0.2.0/27"),
    ),
    NetworkFault(
        "endpoint-without-groups", "the groups of an interface endpoint are not looked at", ("endpoint-group",),
        _group("endpoint", lambda g: replace(g, ingress=(GroupRule("tcp", ANYWHERE, (443, 443)),))),
    ),
    NetworkFault(
        "jumbo-frames-lost", "a VPC carries 1500 bytes only", ("jumbo-inside", "jumbo-segments"),
        lambda state: replace(state, vpcs=tuple(replace(v, mtu=1500) if v.name == "main" else v for v in state.vpcs)),
    ),
    NetworkFault(
        "too-big-is-not-said", "who sends too much to the internet is not told", ("internet-1500",),
        here=_ROUTER,
        do=_chain("ip", "output", "icmp type destination-unreachable drop"),
        undo=_NO_CHAIN,
    ),
    NetworkFault(
        "two-instances-one-address", "packets to an instance's address go to another one", ("neighbours",),
        here=_ROUTER,
        do=f"ip route replace 10.20.1.11 via 10.20.1.20 dev {router_device('eni-bare')} onlink table 50",
        undo=f"ip route replace 10.20.1.11 dev {router_device('eni-web')} scope link table 50",
    ),
    NetworkFault(
        "metadata-behind-groups", "groups filter the metadata service", ("metadata-unfiltered",),
        here=nic_namespace("eni-quiet"),
        do=_chain("ip", "input", "ip daddr 169.254.169.254 drop"),
        undo=_NO_CHAIN,
    ),
    NetworkFault(
        "resolver-at-another-address", "nobody is at base + 2", ("resolver-unfiltered", "resolver-tcp"),
        here=nic_namespace("eni-quiet"),
        do=_chain("ip", "input", "ip daddr 10.20.0.2 drop"),
        undo=_NO_CHAIN,
    ),
)  # fmt: skip
