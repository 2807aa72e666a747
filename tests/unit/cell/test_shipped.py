"""What is shipped to a cell needs nothing that a cell has not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import kip_conformance.infra.cell as package

STAYS = {"archive.py", "user_data.py"}
OWN = "kip_conformance.infra.cell"


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def shipped() -> list[Path]:
    (folder,) = package.__path__
    return [path for path in Path(folder).glob("*.py") if path.name not in STAYS]


def test_the_standard_library_alone():
    others = {
        f"{path.name}: {name}"
        for path in shipped()
        for name in imports(path)
        if not name.startswith(OWN) and name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert others == set()
    assert len(shipped()) > 30


def test_what_stays_is_not_imported_by_what_goes():
    gone = {f"{OWN}.archive", f"{OWN}.user_data"}
    assert [path.name for path in shipped() if imports(path) & gone] == []


def test_the_keeper_stays_small():
    """It is there as long as the cell: what it imports must cost nothing."""
    (folder,) = package.__path__
    seen, todo = set(), ["keeper"]
    while todo:
        name = todo.pop()
        for one in imports(Path(folder, f"{name}.py")):
            if one.startswith(f"{OWN}."):
                todo.append(one.rpartition(".")[2])
            seen.add(one)
    assert not seen & {"json", "subprocess", "threading", "re", "dataclasses", "pathlib", "ssl"}
