"""What images with Python in them begin with: Debian's Python and busybox, a layer made once for a set of packages."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.cache import cache_root, ensure
from kip_conformance.infra.lab.binaries.packages import install_list, unpacked
from kip_conformance.infra.lab.images import rootfs
from kip_conformance.infra.lab.images.oci import Layer, layer_of
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["PATH", "Base", "key_of"]

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Of its processes."""


@dataclass(frozen=True, slots=True)
class Base:
    """`key` says what is in the layer; `store` is the cache's folder of images."""

    key: str
    packages: Mapping[str, Path]
    store: Path

    @classmethod
    def of(cls, progress: Progress, *, cache: Path | None = None) -> Base:
        """With the packages of packages.txt. Raises EnvironmentFault when one cannot be had."""
        cache = cache or cache_root()
        packages = unpacked(install_list("prober"), progress, cache=cache)
        return cls(key_of(rootfs.RECIPE, *(path.name for path in packages.values())), packages, cache / "images")

    def layer(self, progress: Progress) -> Layer:
        """Made when the cache has it not, which needs root. Raises EnvironmentFault."""
        entry = self.store / f"base-{self.key}"
        ensure(entry, "the prober image's file system", self._make, progress)
        return Layer.at(entry / "layer.tar")

    def _make(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise EnvironmentFault("building the prober's image needs root: run this once as root")
        root = folder / "root"
        root.mkdir()
        rootfs.assemble(self.packages, root)
        layer_of(rootfs.entries(root), folder / "layer.tar")
        shutil.rmtree(root)


def key_of(*parts: str) -> str:
    """A short name for this combination of contents."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
