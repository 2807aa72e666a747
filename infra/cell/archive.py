"""Pack the agent: this folder as one file that Python runs (the standard library's zipapp form).

Only where the provider is; nothing of this file is on the cell. The same sources and the same Python give the same
bytes: entries are sorted, dated 1980, and compiled by a Python that has done nothing else before. Code is in it both
compiled and as source: compiling takes a cell a quarter of a second, and a Python of another version falls back.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

__all__ = ["NAME", "build", "version"]

NAME = "itzo"
_HERE = Path(__file__).parent
_PACKAGE = "kip_conformance/infra/cell"
_STAYS_HERE = ("archive.py", "user_data.py")
_COMPILE = """\
import marshal, os, py_compile, sys
for name in marshal.load(sys.stdin.buffer):
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(name, name + "c", dfile=name, doraise=True, invalidation_mode=mode)
"""


def version() -> str:
    """What identifies these sources: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, text in sorted(_sources().items()):
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()[:12]


def build(folder: Path) -> tuple[Path, str]:
    """Write `itzo-VERSION` into `folder`; returns its path and its sha256 in hex. Raises OSError."""
    made = version()
    main = f"from kip_conformance.infra.cell.main import main\nraise SystemExit(main({made!r}))\n"
    sources = {**_sources(), "__main__.py": main.encode()}
    path = folder / f"{NAME}-{made}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        compiled = _compiled(sources, Path(scratch))
        passing = Path(scratch) / NAME
        with zipfile.ZipFile(passing, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted({**sources, **compiled}.items()):
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        data = passing.read_bytes()
        os.replace(passing, path)
    path.chmod(0o644)
    return path, hashlib.sha256(data).hexdigest()


def _sources() -> dict[str, bytes]:
    files = {f"{_PACKAGE}/{one.name}": one.read_bytes() for one in _HERE.glob("*.py") if one.name not in _STAYS_HERE}
    return {**files, "kip_conformance/__init__.py": b"", "kip_conformance/infra/__init__.py": b""}


def _compiled(sources: dict[str, bytes], scratch: Path) -> dict[str, bytes]:
    for name, data in sources.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(data)
    names = sorted(sources)
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _COMPILE],
        input=marshal.dumps(names),
        cwd=scratch,
        check=True,
        env={"PYTHONHASHSEED": "0"},
        stdout=subprocess.DEVNULL,
    )
    return {f"{name}c": (scratch / f"{name}c").read_bytes() for name in names}
