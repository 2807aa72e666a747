"""User data and console as text: what is run, what is refused and in which words."""

from __future__ import annotations

import base64
import builtins
import gzip
import os
import re
import stat
import subprocess
import sys

import pytest
from kip_conformance.infra.cloud.boot import boot


@pytest.fixture
def lines():
    return []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"#!/bin/sh\ntrue\n", "script"),
        (b"#!/usr/bin/env python3\n", "script"),
        (b"#cloud-config\nruncmd: []\n", "cloud-config"),
    ],
)
def test_what_is_run(data, kind):
    assert boot.kind_of(data) == kind


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (gzip.compress(b"#!/bin/sh\n", mtime=0), "compressed"),
        (base64.b64encode(b"#!/bin/sh\ntrue"), "base64"),
        (base64.b64encode(b"#cloud-config\n" * 20) + b"\n", "base64"),
        (b'Content-Type: multipart/mixed; boundary="x"\n', "MIME"),
        (b"MIME-Version: 1.0\n", "MIME"),
        (b"## template: jinja\n#cloud-config\n", "template"),
        (b"#include\nhttp://x\n", "URLs"),
        (b"#cloud-config-archive\n[]", "archive"),
        (b"echo hello\n", "first line"),
        (b"\xff\xfe\0", "first line"),
        (b"", "first line"),
    ],
)
def test_what_is_refused_says_why(data, word):
    with pytest.raises(boot.BootProblem, match=word):
        boot.kind_of(data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"#cloud-config\na: [", "not YAML"),
        (b"#cloud-config\n- a\n", "not a mapping"),
        (b"#cloud-config\n\xff", "YAML"),
    ],
)
def test_a_cloud_config_that_is_none_says_why(data, word):
    with pytest.raises(boot.BootProblem, match=word):
        boot.parse_cloud_config(data)


def test_a_machine_without_pyyaml_says_so(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(boot.BootProblem, match="PyYAML"):
        boot.parse_cloud_config(b"#cloud-config\n")


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        ("text", "text/plain", b"text"),
        (base64.b64encode(b"\0x").decode(), "b64", b"\0x"),
        (base64.b64encode(gzip.compress(b"x", mtime=0)).decode(), "gz+b64", b"x"),
        (base64.b64encode(gzip.compress(b"x", mtime=0)).decode(), "gzip+base64", b"x"),
        (gzip.compress(b"x", mtime=0), "gzip", b"x"),
        (b"raw", "", b"raw"),
        (7, "text/plain", b"7"),
    ],
)
def test_encodings_of_a_file(content, encoding, expected):
    assert boot.decoded(content, encoding) == expected


def own(folder, **entry):
    return {"path": str(folder / "a" / "file"), "owner": f"{os.getuid()}:{os.getgid()}", **entry}


def test_a_file_with_its_mode(tmp_path, lines):
    boot.write_files([own(tmp_path, content="x", permissions="0750")], lines.append)

    written = tmp_path / "a" / "file"
    assert written.read_text() == "x"
    assert stat.S_IMODE(written.stat().st_mode) == 0o750
    assert lines == []


def test_a_file_is_replaced_or_appended_to(tmp_path, lines):
    boot.write_files([own(tmp_path, content="long"), own(tmp_path, content="a")], lines.append)
    boot.write_files([own(tmp_path, content="b", append=True)], lines.append)

    assert (tmp_path / "a" / "file").read_text() == "ab"
    assert stat.S_IMODE((tmp_path / "a" / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"owner": "nobody-of-that-name"}, "knows no such user"),
        ({"permissions": "rwx"}, "invalid literal"),
        ({"permissions": "77777"}, "no file mode"),
        ({"encoding": "rot13"}, "encoding rot13: there are"),
        ({"encoding": "b64", "content": "!"}, "Incorrect padding|Only base64"),
        ({"encoding": "gz", "content": "x"}, "Not a gzipped file"),
        ({"path": ""}, "a mapping with a path"),
        ({"path": "/proc/version/x"}, "File exists|Not a directory"),
    ],
)
def test_a_bad_file_is_a_line_and_the_next_one_is_written(tmp_path, lines, changes, words):
    boot.write_files([own(tmp_path, content="x") | changes, own(tmp_path, content="good")], lines.append)

    assert (tmp_path / "a" / "file").read_text() == "good"
    assert len(lines) == 1
    assert re.search(words, lines[0]), lines


def test_what_else_a_file_asks_for_is_ignored_with_a_line(tmp_path, lines):
    boot.write_files([own(tmp_path, content="x", defer=True)], lines.append)

    assert lines == [f"write_files: {tmp_path}/a/file: defer is ignored"]


@pytest.mark.parametrize("entries", ["text", {"path": "x"}, 3])
def test_lists_are_lists(lines, entries):
    boot.write_files(entries, lines.append)
    boot.commands_of(entries, lines.append)

    assert len(lines) == 2
    assert all("a list is needed" in line for line in lines)


def test_commands_become_one_script(lines):
    entries = ["cd /tmp && echo $HOME", ["echo", "a b", 1, "$HOME"], None]

    assert boot.commands_of(entries, lines.append) == ["cd /tmp && echo $HOME", "echo 'a b' 1 '$HOME'"]
    assert boot.commands_of([{"a": 1}], lines.append) == []
    assert lines == ["runcmd: entry 1 is neither a text nor a list: nothing of it is run"]


def lines_of(*parts):
    """What the console's file has, without its stamps."""
    rest, seen = b"", []
    for part in parts:
        *lines, rest = boot._lines(rest + part)
        seen += lines
    return [*seen, rest]


def test_lines_of_boot_begin_on_a_line_of_their_own():
    assert lines_of(b"a\nb", b"\x1eboot: c\n") == [b"a", b"b", b"boot: c", b""]
    assert lines_of(b"a\n", b"\x1eboot: c\n") == [b"a", b"boot: c", b""]
    assert lines_of(b"\x1eboot: c\n", b"\n", b"d") == [b"boot: c", b"", b"d"]
    assert [len(line) for line in lines_of(b"x" * 10000)] == [4096, 4096, 1808]


def test_the_console_s_file_stays_small(tmp_path):
    read, write = os.pipe()
    path = tmp_path / "console"
    writer = os.fork()
    if writer == 0:
        os.close(write)
        boot.write_console(read, path, 0.0)
        os._exit(0)
    os.close(read)
    for number in range(20000):
        os.write(write, b"%099d\n" % number)
    os.close(write)
    os.waitpid(writer, 0)

    assert path.stat().st_size <= boot._CONSOLE_LIMIT + 65536 * 2
    assert path.read_bytes().endswith(b"%099d\n" % 19999)


def test_it_is_one_file_of_the_standard_library(tmp_path):
    """PyYAML is the one exception, and it is imported only where cloud-config needs it."""
    script = "import sys; before = set(sys.modules); import runpy; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, boot.__file__], capture_output=True, text=True, check=True
    )

    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert "kip_conformance" not in tops
    assert "yaml" not in tops
