"""Which rules acted, by two listings of nft; as recorded on a node, cut down."""

from __future__ import annotations

from kip_conformance.infra.findings.rules import droppers, hits, read_rules, translators

NODE = """\
table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.99.0.0/16  counter packets %d bytes 0 reject
		ct state invalid xt match nfacct counter packets 0 bytes 0 drop
	}

	chain KUBE-FIREWALL {
		ip daddr 127.0.0.0/8  ct status dnat counter packets 0 bytes 0 drop
	}
}
table ip kube-proxy {
	map service-ips {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.96.0.1 . tcp . 443 : goto service-X,
				10.96.0.10 . udp . 53 : goto drop }
	}
	chain mark {
		ct state invalid drop
	}
}
table ip byhand {
	chain c {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.244.1.0/24 tcp dport 8080 drop
		ip saddr 10.0.0.0/8 accept comment "we drop nothing here"
	}
	chain n {
		type nat hook postrouting priority srcnat; policy accept;
		ip daddr 10.244.2.2 masquerade
	}
}
"""

NIC = """\
table inet nic {
	chain forward {
		type filter hook forward priority filter; policy drop;
		iifname "ins" accept comment "everything may leave"
		counter packets %d bytes 0 comment "no group admits it"
	}
}
"""


def test_a_rule_that_counted_between_two_listings_is_a_hit():
    (rule,) = hits(NODE % 1, NODE % 2)
    assert str(rule) == "table ip filter, chain FORWARD: ip saddr 10.99.0.0/16  reject"
    assert rule.drops
    assert not hits(NODE % 1, NODE % 1)


def test_a_counting_rule_at_the_end_of_a_chain_that_drops_by_default_drops():
    (rule,) = hits(NIC % 0, NIC % 3)
    assert (rule.drops, rule.text) == (True, 'policy drop: comment "no group admits it"')


def test_rules_that_do_not_count_are_suspects_and_comments_are_not():
    assert [rule.text for rule in droppers(NODE % 0)] == ["ip saddr 10.244.1.0/24 tcp dport 8080 drop"]


def test_changes_of_source_are_found():
    assert [str(rule) for rule in translators(NODE % 0)] == ["table ip byhand, chain n: ip daddr 10.244.2.2 masquerade"]


def test_owners_by_name():
    owners = {rule.chain: rule.owner for rule in read_rules(NODE % 0)}
    assert owners == {
        "FORWARD": "node (a packet filter)",
        "KUBE-FIREWALL": "service proxy",
        "mark": "service proxy",
        "c": "node (a packet filter)",
        "n": "node (a packet filter)",
    }
