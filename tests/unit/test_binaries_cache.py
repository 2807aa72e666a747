"""Cache entries: whole or absent, checked, made once, and gone when the disk is full."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from kip_conformance.infra.errors import EnvironmentFault
from kip_conformance.infra.lab.binaries.cache import cache_root, damage, ensure


def _fill(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "program").write_bytes(b"x" * 1000)


def _never(_: Path) -> None:
    raise AssertionError("made although it was whole")


def test_an_entry_is_made_once_and_then_found(tmp_path: Path) -> None:
    entry = tmp_path / "deep" / "thing-1"
    assert ensure(entry, "thing 1", _fill, print) is True
    assert ensure(entry, "thing 1", _never, print) is False
    assert (entry / "bin" / "program").read_bytes() == b"x" * 1000


def _truncate(program: Path) -> None:
    os.truncate(program, 10)


def _flip(program: Path) -> None:
    program.write_bytes(b"y" + b"x" * 999)


def _delete(program: Path) -> None:
    program.unlink()


def _spoil_manifest(program: Path) -> None:
    (program.parent.parent / "manifest.json").write_text("{")


@pytest.mark.parametrize("spoil", [_truncate, _flip, _delete, _spoil_manifest])
def test_a_damaged_entry_is_made_again_and_says_why(tmp_path: Path, spoil: object) -> None:
    entry = tmp_path / "thing-1"
    ensure(entry, "thing 1", _fill, print)
    assert callable(spoil)
    spoil(entry / "bin" / "program")
    os.utime(entry)
    lines: list[str] = []
    assert ensure(entry, "thing 1", _fill, lines.append) is True
    assert len(lines) == 1
    assert lines[0].startswith("thing 1: the cached copy is damaged (")
    assert damage(entry) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing-1", "thing-1.lock"]


def test_a_copied_entry_is_read_again_and_stays(tmp_path: Path) -> None:
    entry = tmp_path / "thing-1"
    ensure(entry, "thing 1", _fill, print)
    os.utime(entry / "bin" / "program", (1, 1))
    assert damage(entry) is None
    assert ensure(entry, "thing 1", _never, print) is False


def test_a_half_made_entry_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    left = tmp_path / ".thing-1.abc"
    left.mkdir()
    (left / "part").write_text("x")
    ensure(tmp_path / "thing-1", "thing 1", _fill, print)
    assert not left.exists()


def test_a_failure_leaves_nothing_and_keeps_the_old_entry(tmp_path: Path) -> None:
    entry = tmp_path / "thing-1"
    ensure(entry, "thing 1", _fill, print)
    (entry / "bin" / "program").unlink()

    def fail(folder: Path) -> None:
        _fill(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        ensure(entry, "thing 1", fail, print)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thing-1", "thing-1.lock"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    with pytest.raises(EnvironmentFault, match=r"^disk full while preparing thing 1: [^\n]*MiB left[^\n]*$"):
        ensure(tmp_path / "thing-1", "thing 1", fail, print)
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.lock"]


def test_two_at_once_make_it_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    entry, waiting, made = tmp_path / "thing-1", threading.Event(), []

    def slow(folder: Path) -> None:
        made.append(1)
        assert waiting.wait(10)
        _fill(folder)

    def hear(line: str, /) -> None:
        assert line == "thing 1: another run is preparing it; waiting for that"
        waiting.set()

    threads = [threading.Thread(target=ensure, args=(entry, "thing 1", slow, hear)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made == [1]
    assert damage(entry) is None


def test_the_cache_is_where_the_xdg_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert cache_root() == Path("/some/where/kip-conformance")
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_root() == Path("/home/me/.cache/kip-conformance")
