"""Volumes that are written anew while others read them, and the files that kubelet writes for a pod."""

from __future__ import annotations

import pytest
from kip_conformance.infra.cell.pod_files import host_name, hosts_file, resolv_conf
from kip_conformance.infra.cell.problems import CellProblem
from kip_conformance.infra.cell.volumes import Volumes, payload, write_atomically

from .some_pod import facts, pod


def shown(folder):
    return {one.name: one.read_text() for one in folder.iterdir() if not one.name.startswith("..")}


def test_files_change_all_at_once_and_what_is_gone_is_gone(tmp_path):
    write_atomically(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "d/b").read_text() == "2"
    assert (tmp_path / "d/b").stat().st_mode & 0o777 == 0o600

    write_atomically(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    assert (tmp_path / "..data").readlink() == first

    write_atomically(tmp_path, {"a": (b"3", 0o644), "c": (b"4", 0o644)})
    assert shown(tmp_path) == {"a": "3", "c": "4"}
    assert len([one for one in tmp_path.iterdir() if one.name.startswith("..2")]) == 1


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "conf"}}, {"key": b"value", "other": b"1"}),
        ({"configMap": {"name": "conf", "items": [{"key": "key", "path": "a/b"}]}}, {"a/b": b"value"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
        ({"secret": {"secretName": "hush"}}, {"word": b"secret"}),
        ({"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}, {"n": b"web"}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "conf"}}]}},
            {"t": b"token", "key": b"value", "other": b"1"},
        ),
    ],
)
def test_what_is_in_a_volume(volume, files):
    made = payload({"name": "v", **volume}, facts(tokens={"v/t": "token"}))
    assert {name: content for name, (content, _) in made.items()} == files


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"configMap": {"name": "none"}}, 'MountVolume.SetUp failed for volume "v" : configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "conf", "items": [{"key": "no", "path": "p"}]}}, "has no key no"),
        ({"configMap": {"name": "conf", "items": [{"key": "key", "path": "../p"}]}}, "would leave its volume"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "no token for t was sent"),
    ],
)
def test_what_is_missing_is_named(volume, said):
    with pytest.raises(CellProblem, match=said):
        payload({"name": "v", **volume}, facts())


def test_volumes_of_a_pod_are_made_once_and_refreshed(tmp_path):
    volumes = Volumes(str(tmp_path / "disk"), str(tmp_path / "memory"))
    wanted = pod(volumes=[{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "conf"}}])
    volumes.make(facts(wanted))
    (tmp_path / "disk/e/kept").write_text("x")
    volumes.make(facts(wanted, config_maps={"conf": {"key": "new"}}))

    assert shown(tmp_path / "memory/c") == {"key": "new"}
    assert (tmp_path / "disk/e/kept").exists()
    assert (tmp_path / "disk/e").stat().st_mode & 0o777 == 0o777


def test_hosts():
    wanted = pod(hostname="me", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])
    text = hosts_file(wanted, "10.0.0.9", "cluster.local", "")

    assert "10.0.0.9\tme.sub.shop.svc.cluster.local\tme\n" in text
    assert "1.2.3.4\ta\tb\n" in text
    assert hosts_file(pod(hostNetwork=True), "", "", "127.0.0.1 machine\n").endswith("127.0.0.1 machine\n")


def test_names():
    assert host_name(pod(), "machine") == "web"
    assert host_name(pod(hostNetwork=True), "machine") == "machine"
    long = pod()
    long["metadata"]["name"] = "x" * 62 + "-y"
    assert host_name(long, "") == "x" * 62


def test_resolv_conf():
    wanted = {"nameservers": ["10.96.0.10"], "searches": ["a", "b"], "options": ["ndots:5"]}
    assert resolv_conf(wanted) == "search a b\nnameserver 10.96.0.10\noptions ndots:5\n"
    assert resolv_conf({}) == ""
