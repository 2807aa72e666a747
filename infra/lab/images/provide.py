"""Provide the images: which files go into which image, and one cache entry per combination of contents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import kip_conformance.infra.probe
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.cache import cache_root, digest_of, ensure
from kip_conformance.infra.lab.binaries.catalogue import architecture
from kip_conformance.infra.lab.binaries.packages import unpacked_binary
from kip_conformance.infra.lab.binaries.provide import Toolset
from kip_conformance.infra.lab.images.base import PATH, Base, key_of
from kip_conformance.infra.lab.images.oci import layer_of, write_image
from kip_conformance.infra.lab.images.registry import populate
from kip_conformance.infra.targets.protocol import Progress

__all__ = ["Images", "provide_images"]

RECIPE = "2"  # part of the cache key: raise it when the way images are written changes

_ENTRYPOINTS = {
    "prober": ("/usr/bin/python3", "/prober.py"),
    "coredns": ("/coredns",),
    "pause": ("/pause", "-P"),  # -P: stay although there is no child to wait for
}


@dataclass(frozen=True, slots=True)
class Images:
    """`registry_root` is the storage folder for a docker-registry, to be served read-only; `digests` maps repository
    name (prober, coredns, pause) to the digest of its manifest ("sha256:…")."""

    registry_root: Path
    digests: Mapping[str, str]


def provide_images(
    toolset: Toolset, progress: Progress, *, cache: Path | None = None, prober: Path | None = None
) -> Images:
    """The images for one set of programs; built when the cache has them not, which takes seconds and needs root.

    `prober` is the prober's program, by default the one in this installation. Raises EnvironmentFault when a package,
    a tool or the disk space for building is missing.
    """
    cache = cache or cache_root()
    prober = prober or Path(kip_conformance.infra.probe.__path__[0]) / "prober.py"
    if not prober.is_file():
        raise EnvironmentFault(f"{prober} is missing: install the project again (make env)")
    # Programs may be links, in an editable installation or on PATH; a layer must carry what they lead to.
    prober, coredns = prober.resolve(), toolset["coredns"].resolve()
    pause = unpacked_binary("catatonit", "catatonit", progress, cache=cache).resolve()
    base = Base.of(progress, cache=cache)
    contents = (digest_of(path) for path in (prober, coredns, pause))
    key = key_of(RECIPE, base.key, architecture(), json.dumps(_ENTRYPOINTS), *contents)
    store = cache / "images"
    entry = store / f"registry-{key}"

    def make(folder: Path) -> None:
        registry = unpacked_binary("docker-registry", "docker-registry", progress, cache=cache)
        scratch = folder / "scratch"
        scratch.mkdir()
        layers = {
            "prober": (base.layer(progress), layer_of({"prober.py": prober}, scratch / "prober.tar")),
            "coredns": (layer_of({"coredns": coredns}, scratch / "coredns.tar"),),
            "pause": (layer_of({"pause": pause}, scratch / "pause.tar"),),
        }
        progress(f"building the images {', '.join(layers)} for the lab's registry")
        digests = {
            name: write_image(
                scratch / name, parts, entrypoint=_ENTRYPOINTS[name], path=PATH, architecture=architecture()
            )
            for name, parts in layers.items()
        }
        storage = folder / "storage"
        populate(storage, {name: scratch / name for name in layers}, registry=registry, scratch=scratch)
        shutil.rmtree(scratch)
        _share_blobs(storage, store)
        (folder / "digests.json").write_text(json.dumps(digests))

    ensure(entry, "the lab's images", make, progress)
    return Images(entry / "storage", json.loads((entry / "digests.json").read_text()))


def _share_blobs(storage: Path, store: Path) -> None:
    """Hard-link blobs that another entry already holds, so that an edited prober costs kilobytes of disk."""
    for blob in storage.glob("docker/registry/v2/blobs/sha256/*/*/data"):
        for twin in store.glob(f"registry-*/storage/{blob.relative_to(storage)}"):
            with suppress(OSError):  # an entry of another file system, or just being replaced: keep our own copy
                if digest_of(twin) == blob.parent.name:
                    link = blob.with_name("link")
                    link.hardlink_to(twin)
                    link.replace(blob)
                    break
