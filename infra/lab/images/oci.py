"""An OCI image layout written by hand: deterministic layers, one config and one manifest per image.

The same content gives the same digest on every machine: entries are sorted, owned by root and dated 1970. The format is
the OCI image specification's (image-layout, layer, config, manifest); nothing here knows which images are made.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kip_conformance.infra.lab.binaries.cache import digest_of

__all__ = ["Layer", "layer_of", "write_image", "write_tar"]

_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar"  # not compressed: it travels over loopback and is unpacked per node
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's tar file, its digest ("sha256:…") and its size in bytes."""

    path: Path
    digest: str
    size: int

    @classmethod
    def at(cls, path: Path) -> Layer:
        return cls(path, f"sha256:{digest_of(path)}", path.stat().st_size)


def layer_of(files: Mapping[str, Path], into: Path) -> Layer:
    """Write a layer with the given entries, name in the image → file, folder or link on disk (not followed)."""
    write_tar(files, into)
    return Layer.at(into)


def write_tar(files: Mapping[str, Path], into: Path) -> None:
    """The same entries give the same bytes."""
    with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            info = tar.gettarinfo(str(files[name]), arcname=name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.islnk():  # gettarinfo remembers inodes; a hard link's data would hang on the order of the entries
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", files[name].stat().st_size
            if info.isreg():
                with files[name].open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)


def write_image(
    layout: Path, layers: Sequence[Layer], *, entrypoint: Sequence[str], path: str, architecture: str, name: str = ""
) -> str:
    """Write a one-image OCI layout into the folder `layout`; returns the manifest's digest.

    `path` is the PATH that the image's processes get. The manifest has the tag of `name` ("repository:tag"), without
    one "latest": copying tools want a tag. containerd takes a whole name from an annotation of its own.
    """
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        target = blobs / layer.digest.partition(":")[2]
        try:
            target.hardlink_to(layer.path)
        except OSError:
            shutil.copyfile(layer.path, target)
    config = _put_json(
        blobs,
        {
            "architecture": architecture,
            "config": {"Entrypoint": list(entrypoint), "Env": [f"PATH={path}"], "WorkingDir": "/"},
            "created": _EPOCH,
            "history": [{"created": _EPOCH, "created_by": "kip-conformance"} for _ in layers],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        },
    )
    manifest = _put_json(
        blobs,
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, **config},
            "layers": [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        },
    )
    annotations = {"org.opencontainers.image.ref.name": name.rpartition(":")[2] or "latest"}
    if name:
        annotations["io.containerd.image.name"] = name
    named = {"mediaType": _MANIFEST, **manifest, "annotations": annotations}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return str(manifest["digest"])


def _put_json(blobs: Path, value: Mapping[str, Any]) -> dict[str, str | int]:
    content = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}
