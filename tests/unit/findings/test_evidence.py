"""Bounded files with their digests."""

from __future__ import annotations

import hashlib
import struct

from kip_conformance.infra.findings.evidence import CASE_LIMIT, FILE_LIMIT, folder_name, keep

HEAD = b"\xd4\xc3\xb2\xa1" + b"\0" * 20


def pcap(records, size=1000):
    return HEAD + (struct.pack("<IIII", 1, 2, size, size) + b"x" * size) * records


def test_digest_size_and_path_are_those_of_the_file(tmp_path):
    (kept,) = keep(tmp_path, tmp_path / "evidence" / "case", {"path.txt": b"hello"})
    assert (kept.path, kept.size) == ("evidence/case/path.txt", 5)
    assert kept.sha256 == hashlib.sha256((tmp_path / kept.path).read_bytes()).hexdigest()


def test_a_long_text_says_what_it_lacks(tmp_path):
    (kept,) = keep(tmp_path, tmp_path, {"a.txt": b"y" * (FILE_LIMIT + 9)})
    assert kept.size == FILE_LIMIT
    assert (tmp_path / "a.txt").read_text().endswith("bytes more\n")


def test_a_capture_ends_with_a_whole_packet(tmp_path):
    (kept,) = keep(tmp_path, tmp_path, {"a.pcap": pcap(400)})
    assert kept.size <= FILE_LIMIT
    assert (kept.size - 24) % 1016 == 0


def test_a_case_is_bounded_as_a_whole(tmp_path):
    kept = keep(tmp_path, tmp_path, {f"{number}.txt": b"z" * FILE_LIMIT for number in range(12)})
    assert sum(file.size for file in kept) == CASE_LIMIT


def test_names_of_folders_are_plain():
    assert folder_name("SVC-01[nftables-udp]") == "SVC-01-nftables-udp"
    assert folder_name("../..") == "case"
