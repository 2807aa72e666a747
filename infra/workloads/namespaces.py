"""Namespace objects of the cluster's API, one for the objects of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kip_conformance.infra.kube import KubeApi

__all__ = ["temporary_namespace"]


@contextmanager
def temporary_namespace(kubeconfig: Path, name: str, *, labels: Mapping[str, str]) -> Iterator[str]:
    """A namespace for the length of the block. Its deletion is asked for, not waited for."""
    api = KubeApi(kubeconfig)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})
    try:
        yield name
    finally:
        api.delete("Namespace", name)
