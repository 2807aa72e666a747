"""What a machine lacks is one line with the remedy, and exit code 10."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple

import pytest
from kip_conformance.infra.cli import main
from kip_conformance.infra.errors import EnvironmentFault, HarnessError, UsageError
from kip_conformance.infra.lab import doctor
from kip_conformance.infra.lab.state import LabFolder

Usage = namedtuple("Usage", "total used free")


def ask(name):
    return next(check for check in doctor.CHECKS if check.name == name).ask()


def test_without_root(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    with pytest.raises(EnvironmentFault, match="needs root: run it with sudo"):
        ask("root")


def test_a_missing_tool_is_named(monkeypatch):
    found = shutil.which
    monkeypatch.setattr(
        "shutil.which", lambda tool, path=None: None if tool == "nft" else found(tool, path=path) or tool
    )

    with pytest.raises(EnvironmentFault, match="missing nft: "):
        ask("tools")


def test_too_few_inotify_instances(monkeypatch):
    monkeypatch.setattr(doctor, "_inotify_in_use", lambda: 100_000_000)

    with pytest.raises(EnvironmentFault, match=r"raise fs\.inotify\.max_user_instances, or take another lab down"):
        ask("inotify")


def test_too_little_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("KIP_STATE", str(tmp_path / "not" / "there"))
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(1, 1, 5 << 20))

    with pytest.raises(
        EnvironmentFault, match=rf"{tmp_path}: 5 MiB free, a lab needs 1024: free some, or set KIP_STATE"
    ):
        ask("disk")


def test_a_state_folder_too_deep_for_unix_sockets_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("KIP_STATE", "/tmp/" + "x" * 60)
    LabFolder.of("a").require_room_for_sockets()
    with pytest.raises(UsageError, match="a unix socket may have 104: set KIP_STATE to a shorter folder"):
        LabFolder.of("a-name-of-a-run").require_room_for_sockets()


def test_a_full_disk_is_explained_whoever_met_it(monkeypatch, tmp_path):
    with pytest.raises(EnvironmentFault, match="is full"), doctor.disk_errors_explained(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(HarnessError, match="kubelet"), doctor.disk_errors_explained(tmp_path):
        raise HarnessError("kubelet ended")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: Usage(1, 1, 0))
    with pytest.raises(EnvironmentFault, match="is full"), doctor.disk_errors_explained(tmp_path):
        raise HarnessError("kubelet ended")


def test_doctor_says_what_is_missing_and_exits_with_10(monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert main(["doctor"]) == 10
    assert "MISSING  root: the lab makes namespaces and needs root" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--cluster", "nope"], "cluster 'nope': unknown target"),
        (["up", "--cni", "nope"], "--cni nope: neither a folder nor one of"),
        (["up", "--proxy-mode", "nope"], "service proxy mode 'nope': the lab runs iptables, nftables"),
        (["up", "--run", "NOPE"], "run 'NOPE': a run's name is"),
        (["down", "nope"], "no lab nope; there are: none"),
        (["exec", "node-a"], "exec: no command"),
        (["clean", "--run", "a/b"], "run 'a/b'"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_4(arguments, said, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KIP_STATE", str(tmp_path))

    assert main(arguments) == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_help_needs_nothing(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in ("catalogue", "clean", "doctor", "down", "exec", "status", "up"):
        assert command in said


def test_status_without_labs(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KIP_STATE", str(tmp_path))

    assert main(["status"]) == 0
    assert "No labs" in capsys.readouterr().out
