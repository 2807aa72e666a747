"""The files that a walk leaves: bounded in size, with their digests. What is in them is the walk's business."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from kip_conformance.infra.findings.finding import Evidence

__all__ = ["CASE_LIMIT", "FILE_LIMIT", "folder_name", "keep"]

FILE_LIMIT = 256 << 10
"""The most bytes of one file."""

CASE_LIMIT = 2 << 20
"""The most bytes of all files of one case."""


def keep(root: Path, folder: Path, files: Mapping[str, bytes]) -> tuple[Evidence, ...]:
    """Write `files` (by name) into `folder`, which is below `root`; returns what was written.

    Captures end with their last whole packet, texts with a note, where the bound cuts them. What no longer fits into a
    case's bound is left out. Raises OSError when the disk refuses.
    """
    kept, total = [], 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = _bounded(content)
        if not data or total + len(data) > CASE_LIMIT:
            continue
        total += len(data)
        path = folder / name
        path.write_bytes(data)
        kept.append(Evidence(path.relative_to(root).as_posix(), len(data), hashlib.sha256(data).hexdigest()))
    return tuple(kept)


def folder_name(text: str) -> str:
    """`text` as the name of a folder: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "case"


def _bounded(content: bytes) -> bytes:
    if len(content) <= FILE_LIMIT:
        return content
    if content[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        return _whole_records(content)
    note = f"\n... {len(content) - FILE_LIMIT} bytes more\n".encode()
    return content[: FILE_LIMIT - len(note)] + note


def _whole_records(pcap: bytes) -> bytes:
    end = 24
    while end + 16 <= FILE_LIMIT:
        (size,) = struct.unpack_from("<I", pcap, end + 8)
        if end + 16 + size > FILE_LIMIT:
            break
        end += 16 + size
    return pcap[:end]
