"""Finds and deletes what a run put into a cluster that stays, when the one who should have done it is gone."""

from __future__ import annotations

from pathlib import Path

from kip_conformance.infra.kube import KubeApi

__all__ = ["MADE_BY", "sweep"]

MADE_BY = "kip-conformance/made-by"
"""The label that every object of a test carries; its value is the run."""

_KINDS = ("Service", "Namespace")


def sweep(kubeconfig: Path, run_id: str) -> tuple[str, ...]:
    """Delete every object that carries the run's label; returns their names. Raises HarnessError without an answer."""
    api = KubeApi(kubeconfig)
    found = [
        (kind, each["metadata"]["name"], each["metadata"].get("namespace"))
        for kind in _KINDS
        for each in api.list(kind, labels={MADE_BY: run_id})
    ]
    for kind, name, namespace in found:
        api.delete(kind, name, namespace)
    return tuple(name for _, name, _ in found)
