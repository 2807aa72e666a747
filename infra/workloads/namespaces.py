"""Namespace objects of the cluster's API, one for the objects of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kip_conformance.infra.errors import HarnessError
from kip_conformance.infra.judge.waits import WaitFailed, eventually
from kip_conformance.infra.kube import KubeApi

__all__ = ["temporary_namespace"]


@contextmanager
def temporary_namespace(kubeconfig: Path, name: str, *, labels: Mapping[str, str]) -> Iterator[str]:
    """A namespace for the length of the block, in which pods can be made. Its deletion is asked for, not waited for.

    Raises HarnessError when the ServiceAccount `default`, which every pod needs, is not made for it.
    """
    api = KubeApi(kubeconfig)
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})
    try:
        try:
            eventually(lambda: api.find("ServiceAccount", "default", name) is not None, bool, within=20.0)
        except WaitFailed as error:
            raise HarnessError(f"namespace {name} got no ServiceAccount `default` within 20 s") from error
        yield name
    finally:
        api.delete("Namespace", name)
