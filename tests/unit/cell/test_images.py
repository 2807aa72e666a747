"""References, credentials, layers over layers."""

from __future__ import annotations

import base64
import io
import os
import socket
import tarfile

import pytest
from kip_conformance.infra.cell.credentials import auth_file, matching
from kip_conformance.infra.cell.images import Images
from kip_conformance.infra.cell.layers import unpack
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.references import parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("me/nginx:1.2", "docker.io/me/nginx:1.2"),
        ("10.0.0.1:5000/prober", "10.0.0.1:5000/prober:latest"),
        ("localhost/x/y:t", "localhost/x/y:t"),
        (f"r.io/a/b@{DIGEST}", f"r.io/a/b@{DIGEST}"),
        (f"r.io/a/b:t@{DIGEST}", f"r.io/a/b@{DIGEST}"),
    ],
)
def test_references(text, whole):
    assert str(parse_reference(text)) == whole


@pytest.mark.parametrize("text", ["", "A", "a:b:c", "a@sha256:12", "a@", "r.io/", "a b", "-x", "a/../b"])
def test_no_references(text):
    with pytest.raises(CellProblem, match="invalid reference format"):
        parse_reference(text)


def test_a_registry_that_is_not_there_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(CellProblem, match=f'failed to pull image "{host}/a:1": {host} could not be reached: '):
        Images(str(tmp_path)).pull(f"{host}/a:1")


def secret(**auths):
    return {"auths": {host.replace("_", "."): {"username": host, "password": "p"} for host, _ in auths.items()}}


@pytest.mark.parametrize(
    ("key", "image", "matches"),
    [
        ("r.io", "r.io/a", True),
        ("https://r.io/v2/", "r.io/a", True),
        ("r.io/team", "r.io/team/a", True),
        ("r.io/team", "r.io/teams/a", False),
        ("*.r.io", "x.r.io/a", True),
        ("*.r.io", "r.io/a", False),
        ("*.io", "x.r.io/a", False),
        ("https://index.docker.io/v1/", "nginx", True),
        ("r.io:5000", "r.io/a", False),
    ],
)
def test_which_credentials_are_for_an_image(key, image, matches):
    found = matching([{"auths": {key: {"auth": "eA=="}}}], parse_reference(image))
    assert bool(found) is matches


def test_longer_keys_come_first_and_names_become_a_login():
    secrets = [{"auths": {"r.io": {"username": "u", "password": "p:q"}}}, {"auths": {"r.io/team": {"auth": "eA=="}}}]
    found = matching(secrets, parse_reference("r.io/team/a"))

    assert [one["auth"] for one in found] == ["eA==", base64.b64encode(b"u:p:q").decode()]
    assert auth_file(parse_reference("r.io/team/a"), found[0]) == '{"auths": {"r.io": {"auth": "eA=="}}}'


def layer(*entries):
    """A tar archive: (name, content) is a file, (name, None) a folder, (name, "-> there") a link."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            member.uid, member.gid = os.getuid(), os.getgid()
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif content.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, content.removeprefix("-> ")
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO((content or "").encode()))
    made.seek(0)
    return tarfile.open(fileobj=made)


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_later_layers_take_away_and_replace(tmp_path):
    unpack(
        layer(("a", None), ("a/one", "1"), ("a/two", "2"), ("b", None), ("b/old", "x"), ("c", "file")), str(tmp_path)
    )
    unpack(layer(("a/.wh.one", ""), ("b/new", "y"), ("b/.wh..wh..opq", ""), ("c", None), ("c/in", "z")), str(tmp_path))

    assert files(tmp_path) == ["a/two", "b/new", "c/in"]


def test_a_file_takes_a_links_place_and_not_its_targets(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("safe")
    unpack(layer(("link", f"-> {tmp_path}/outside")), str(tmp_path / "root"))
    unpack(layer(("link", "mine")), str(tmp_path / "root"))

    assert (tmp_path / "outside").read_text() == "safe"
    assert (tmp_path / "root/link").read_text() == "mine"


def test_names_that_point_upwards_stay_inside(tmp_path):
    (tmp_path / "root").mkdir()
    unpack(layer(("../../up", "x"), ("/abs", "y")), str(tmp_path / "root"))

    assert files(tmp_path / "root") == ["abs", "up"]
