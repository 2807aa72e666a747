"""Image layouts: deterministic, complete, and keyed by their content."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.provide import Toolset
from kip_conformance.infra.lab.images import base, provide_images
from kip_conformance.infra.lab.images import provide as providing
from kip_conformance.infra.lab.images.oci import layer_of, write_image
from kip_conformance.infra.lab.images.registry import populate


def _tree(folder: Path, *, order: int) -> dict[str, Path]:
    """The same tree made in two different orders and at two different times."""
    names = ["usr/bin/program", "etc/config", "usr/share/data"]
    for name in names if order > 0 else reversed(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (order + 5, order + 5))
    (folder / "usr/bin/program").chmod(0o755)
    (folder / "bin").symlink_to("usr/bin")
    (folder / "usr/share/twin").hardlink_to(folder / "usr/share/data")
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return found if order > 0 else dict(reversed(found.items()))


def test_a_layer_depends_on_its_content_only(tmp_path: Path) -> None:
    layers = [layer_of(_tree(tmp_path / str(order), order=order), tmp_path / f"{order}.tar") for order in (1, -1)]
    assert layers[0].digest == layers[1].digest
    with tarfile.open(layers[0].path) as tar:
        found = {info.name: info for info in tar}
    assert list(found) == sorted(found)
    assert all((info.uid, info.gid, info.mtime, info.uname) == (0, 0, 0, "") for info in found.values())
    assert found["usr/bin/program"].mode & 0o777 == 0o755
    assert found["bin"].linkname == "usr/bin"
    assert found["usr/share/twin"].isreg()
    assert found["usr/share/twin"].size == len("usr/share/data")


def test_a_layout_is_complete_and_its_digests_hold(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("x")
    layer = layer_of({"program": tmp_path / "program"}, tmp_path / "layer.tar")
    digest = write_image(tmp_path / "image", [layer], entrypoint=["/program", "-P"], path="/bin", architecture="amd64")
    blobs = {path.name: path.read_bytes() for path in (tmp_path / "image/blobs/sha256").iterdir()}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    manifest = json.loads(blobs[digest.removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    assert config["config"] == {"Entrypoint": ["/program", "-P"], "Env": ["PATH=/bin"], "WorkingDir": "/"}
    assert config["rootfs"]["diff_ids"] == [layer.digest] == [part["digest"] for part in manifest["layers"]]
    assert len(blobs) == 3
    (named,) = json.loads((tmp_path / "image/index.json").read_text())["manifests"]
    assert named["digest"] == digest
    assert named["annotations"] == {"org.opencontainers.image.ref.name": "latest"}


def test_an_image_with_a_name_says_it_as_containerd_reads_it(tmp_path: Path) -> None:
    write_image(tmp_path, [], entrypoint=[], path="/bin", architecture="amd64", name="docker.io/library/some:1.2")
    (named,) = json.loads((tmp_path / "index.json").read_text())["manifests"]
    assert named["annotations"] == {
        "org.opencontainers.image.ref.name": "1.2",
        "io.containerd.image.name": "docker.io/library/some:1.2",
    }


class Store:
    """`provide_images` with the distribution and the registry replaced; counts what is made."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache, self.made = folder / "cache", [0, 0]
        self.prober, self.coredns, other = folder / "prober.py", folder / "coredns", folder / "other"
        for path in (self.prober, self.coredns, other):
            path.write_text(path.name)
        package = folder / "library_1.0"
        package.mkdir()
        monkeypatch.setattr(providing, "unpacked_binary", lambda *_, **__: other)
        monkeypatch.setattr(base, "unpacked", lambda *_, **__: {"library": package})
        monkeypatch.setattr(base.Base, "_make", lambda _, folder: self._base(folder))
        monkeypatch.setattr(providing, "populate", self._populate)

    def _base(self, folder: Path) -> None:
        self.made[0] += 1
        layer_of({}, folder / "layer.tar")

    def _populate(self, storage: Path, layouts: dict[str, Path], **_: object) -> None:
        """As a registry stores them, as far as sharing of blobs is concerned."""
        self.made[1] += 1
        for layout in layouts.values():
            for blob in (layout / "blobs/sha256").iterdir():
                target = storage / "docker/registry/v2/blobs/sha256" / blob.name[:2] / blob.name
                target.mkdir(parents=True, exist_ok=True)
                (target / "data").write_bytes(blob.read_bytes())

    def images(self) -> providing.Images:
        tools = Toolset({"coredns": self.coredns}, {}, {})
        return provide_images(tools, lambda _: None, cache=self.cache, prober=self.prober)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(tmp_path, monkeypatch)


def test_images_are_made_once(store: Store) -> None:
    first = store.images()
    assert set(first.digests) == {"prober", "coredns", "pause"}
    assert first.registry_root.is_dir()
    assert store.images() == first
    assert store.made == [1, 1]
    assert sorted(path.name for path in first.registry_root.parent.iterdir()) == [
        *("digests.json", "manifest.json", "storage")
    ]


def test_an_edited_prober_changes_its_image_only_and_shares_the_rest(store: Store) -> None:
    first = store.images()
    store.prober.write_text("edited")
    second = store.images()
    assert store.made == [1, 2]
    assert second.digests["prober"] != first.digests["prober"]
    assert second.digests["coredns"] == first.digests["coredns"]
    name = first.digests["coredns"].removeprefix("sha256:")
    blob = Path("docker/registry/v2/blobs/sha256") / name[:2] / name / "data"
    assert (first.registry_root / blob).samefile(second.registry_root / blob)


def test_damaged_storage_is_made_again(store: Store) -> None:
    root = store.images().registry_root
    next(root.rglob("data")).write_bytes(b"spoiled")
    assert store.images().registry_root == root
    assert store.made == [1, 2]
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.parent.name for blob in root.rglob("data"))


def test_a_prober_that_is_a_link_is_carried_as_a_file(store: Store, tmp_path: Path) -> None:
    """An editable installation is a tree of links; in a container they would lead nowhere."""
    plain = store.images()
    store.prober.rename(tmp_path / "elsewhere.py")
    store.prober.symlink_to(tmp_path / "elsewhere.py")
    assert store.images() == plain


def test_a_missing_prober_is_one_line(store: Store) -> None:
    store.prober.unlink()
    with pytest.raises(EnvironmentFault, match=r"prober\.py is missing"):
        store.images()


@pytest.mark.parametrize(
    ("registry", "skopeo", "message"),
    [
        ("exit 1", "exit 0", "docker-registry did not start"),
        (
            "echo 'listening on 127.0.0.1:1' >&2; exec sleep 60",
            "echo broken >&2; exit 1",
            "cannot copy the image one.*broken",
        ),
        (
            "echo 'listening on 127.0.0.1:1' >&2; exec sleep 60",
            "echo no space left on device >&2; exit 1",
            "^disk full",
        ),
    ],
)
def test_a_copy_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: str, skopeo: str, message: str
) -> None:
    for name, text in {"docker-registry": registry, "skopeo": skopeo}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(EnvironmentFault, match=message):
        populate(tmp_path / "storage", {"one": tmp_path}, registry=tmp_path / "docker-registry", scratch=tmp_path)


def test_without_skopeo_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="apt-get install skopeo"):
        populate(tmp_path, {}, registry=tmp_path, scratch=tmp_path)
