"""Groups of rows that a defect may redden together, by what they have in common."""

from __future__ import annotations

__all__ = [
    "THROUGH_CLUSTER_DNS",
    "THROUGH_CLUSTER_IPS",
    "THROUGH_CLUSTER_IPS_FROM_HOSTS",
    "THROUGH_CLUSTER_IPS_OVER_UDP",
]

THROUGH_CLUSTER_DNS = ("DNS-01", "DNS-02", "DNS-05", "DNS-06", "DNS-07", "IDN-08", "N2P-06", "NOD-02", "SVC-16")
"""Pods of all nodes ask cluster DNS, which runs on one of them."""

THROUGH_CLUSTER_IPS = ("SVC-03", "SVC-05", "SVC-07", "SVC-10", "SVC-11", "SVC-15", "SVC-16", "SVC-18", "PXY-05")
"""Pods of all nodes are clients and endpoints: what keeps two pods apart keeps them apart behind a Service, too."""

THROUGH_CLUSTER_IPS_OVER_UDP = ("SVC-03", "SVC-05", "SVC-07", "SVC-10", "SVC-16")
"""Those of them that have a UDP case, or ask DNS."""

THROUGH_CLUSTER_IPS_FROM_HOSTS = ("SVC-02", "SVC-07", "SVC-10", "SVC-11", "SVC-18", "PXY-05")
"""The machines themselves are among the clients, and pods of all nodes among the endpoints."""
