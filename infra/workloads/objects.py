"""API objects that a row makes for itself: labelled with the run, and gone after the row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kip_conformance.infra.kube import KubeApi

__all__ = ["Objects"]

Object = dict[str, Any]


class Objects:
    """Creates, changes and deletes objects of the API; what is left at the end of the block goes, newest first.

    Every method raises ApiRefusal when the API server says no, HarnessError when it does not answer.
    """

    def __init__(self, kubeconfig: Path, *, labels: Mapping[str, str]) -> None:
        self._api = KubeApi(kubeconfig)
        self._labels = dict(labels)
        self._made: list[tuple[str, str, str | None]] = []

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        while self._made:
            self._api.delete(*self._made.pop())

    def create(self, manifest: Object) -> Object:
        """Create one object; returns it as the API server stored it."""
        metadata = manifest["metadata"]
        labelled = {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **self._labels}}}
        made = self._api.create(labelled)
        self._made.append((made["kind"], made["metadata"]["name"], made["metadata"].get("namespace")))
        return made

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object as it is now; None when there is none."""
        return self._api.find(kind, name, namespace)

    def patch(self, kind: str, name: str, change: Object, namespace: str | None = None) -> Object:
        """JSON merge patch (RFC 7386): null removes, a list replaces."""
        return self._api.patch(kind, name, change, namespace)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete one object now; one that is not there is no error."""
        self._made = [each for each in self._made if each != (kind, name, namespace)]
        self._api.delete(kind, name, namespace)
