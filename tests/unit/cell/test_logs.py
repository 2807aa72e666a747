"""Logs as they are written and read: lines that have not ended, tails, times, limits, a log that was put aside."""

from __future__ import annotations

import threading

import pytest
from kip_conformance.infra.cell.log_writer import LogWriter, stamp
from kip_conformance.infra.cell.logs import LogFile, LogOptions, read_log


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "0.log")


def read(path, **options):
    said = bytearray()
    read_log(path, LogOptions(**options), said.extend, lambda: True)
    return bytes(said)


def written(path, *parts, limit=1 << 20):
    writer = LogWriter(path, limit)
    for stream, part in parts:
        writer.write(stream, part)
    return writer


def test_what_is_read_is_what_was_written(log):
    parts = [("stdout", b"one\ntw"), ("stderr", b"err\n"), ("stdout", b"o\n\nthr"), ("stdout", b"ee")]
    written(log, *parts)

    assert read(log) == b"one\ntwerr\no\n\nthree"


@pytest.mark.parametrize(
    ("tail", "said"),
    [(0, b""), (1, b"unfinished"), (2, b"line 9\nunfinished"), (3, b"line 8\nline 9\nunfinished")],
)
def test_a_tail_counts_lines_and_not_their_pieces(log, tail, said):
    written(
        log,
        *(("stdout", f"line {number}\n".encode()) for number in range(10)),
        ("stdout", b"unfin"),
        ("stdout", b"ished"),
    )

    assert read(log, tail=tail) == said


def test_a_tail_longer_than_a_block(log):
    lines = [b"%06d %s\n" % (number, b"x" * 90) for number in range(3000)]
    written(log, *(("stdout", line) for line in lines))

    assert read(log, tail=2000) == b"".join(lines[-2000:])
    assert read(log, tail=9999) == b"".join(lines)


def test_a_log_that_was_put_aside_is_read_first(log):
    lines = [b"line %03d\n" % number for number in range(60)]
    written(log, *(("stdout", line) for line in lines), limit=1600)

    whole = read(log)
    assert b"".join(lines).endswith(whole)
    assert whole.count(b"\n") > 20
    assert read(log, tail=25) == b"".join(lines[-25:])


def test_a_follower_reads_on_in_the_next_file(log):
    writer = written(log, ("stdout", b"first\n"), limit=200)
    file = LogFile(log)
    file.start(None)
    assert [one.text for one in file.new()] == [b"first"]
    for number in range(6):
        writer.write("stdout", b"line %d\n" % number)

    assert [one.text for one in file.new()][-3:] == [b"line 3", b"line 4", b"line 5"]
    file.close()


def test_times_are_before_whole_lines_alone(log):
    written(log, ("stdout", b"un"), ("stdout", b"finished\nnext\n"))

    first, second = read(log, timestamps=True).decode().splitlines()
    assert first.split(" ", 1)[1] == "unfinished"
    assert second.split(" ", 1)[1] == "next"


def test_limits_and_times(log):
    written(log, ("stdout", b"0123456789\n"))

    assert read(log, limit=4) == b"0123"
    assert read(log, since=4e9) == b""
    assert read(log, since=1.0) == b"0123456789\n"


def test_nothing_is_there_yet(log):
    assert read(log) == b""
    assert read(log, tail=5) == b""


def test_following_ends_with_the_container(log):
    writer = written(log, ("stdout", b"a\n"))
    over, said = threading.Event(), bytearray()

    def hears(part):
        said.extend(part)
        if part == b"a\n":
            writer.write("stdout", b"b\n")
            over.set()

    read_log(log, LogOptions(follow=True), hears, over.is_set)
    assert said == b"a\nb\n"


def test_a_stamp():
    assert stamp(1_700_000_000_000_000_123) == "2023-11-14T22:13:20.000000123Z"
