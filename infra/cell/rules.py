"""The packet filter of a cell: what of the pod's traffic is translated, and what it may not reach.

- Masquerade, for what leaves the main interface with the pod's address and goes outside: neither to the VPC, nor to
  the networks in extraCIDRs, nor to private ranges (RFC 1918, and RFC 6598's 100.64.0.0/10).
- The pod does not reach the metadata address: the instance's user data holds the agent's key.
- The pod reaches nothing of the machine itself but ICMP: not the agent's port, nor kube-proxy's.
- The pod speaks with its own address only.

One nftables table of its own, replaced as a whole. A pod on the host network is the machine: none of this can hold.
"""

from __future__ import annotations

from kip_conformance.infra.cell.commands import run
from kip_conformance.infra.cell.datapath import Uplink
from kip_conformance.infra.cell.settings import CellSettings

__all__ = ["METADATA", "apply_rules", "rules"]

METADATA = "169.254.169.254"
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


def apply_rules(uplink: Uplink, settings: CellSettings) -> None:
    """Raises CellProblem."""
    run(["nft", "-f", "-"], stdin=rules(uplink, settings))


def rules(uplink: Uplink, settings: CellSettings) -> str:
    """The table as nft reads it; loading it replaces the one that is there."""
    pod = settings.pod_address
    inside = ", ".join(dict.fromkeys((*PRIVATE, *settings.vpc_cidrs, *settings.extra_cidrs)))
    return f"""\
table ip kip_cell
delete table ip kip_cell
table ip kip_cell {{
  set inside {{
    type ipv4_addr
    flags interval
    auto-merge
    elements = {{ {inside} }}
  }}
  chain from_pod {{
    type filter hook prerouting priority raw; policy accept;
    iifname "veth0" ip saddr != {pod} counter drop
  }}
  chain to_machine {{
    # Behind IPVS, which takes packets to VIPs out of the input hook at 98: to the machine they only seem to go.
    type filter hook input priority 110; policy accept;
    iifname != "veth0" accept
    ct state established,related accept
    icmp type echo-request accept
    counter reject with icmp type admin-prohibited
  }}
  chain through {{
    type filter hook forward priority filter; policy accept;
    iifname "veth0" ip daddr {METADATA} counter reject with icmp type admin-prohibited
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {pod} oifname "{uplink.device}" ip daddr != @inside counter masquerade
  }}
}}
"""
