"""allure-results: one file for each item, as Allure's results format has them.

allure-pytest may have written into the folder already. Its results are kept and their status is put right by the
verdict; what it could not write, because a worker died or it was off, is added.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kip_conformance.reports.allure import ITEM_LABEL, STATUS, attachments, labels, message
from kip_conformance.reports.document import dataplane_statement
from kip_conformance.reports.files import make_folder, naming_the_disk, write_text
from kip_conformance.reports.fold import ReportError
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.requirements import Requirement, load_requirements

__all__ = ["NAME", "write"]

NAME = "allure-results"

_CATEGORIES = [
    {"name": "Requirement not met", "matchedStatuses": ["failed"]},
    {"name": "Harness error: nothing is said about the cluster", "matchedStatuses": ["broken"]},
    {"name": "Not runnable on this target", "matchedStatuses": ["skipped"]},
]


def write(run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path:
    """Complete the folder allure-results. Raises EnvironmentFault or ReportError."""
    results = folder / NAME
    make_folder(results)
    requirements = load_requirements()
    there = _existing(results)
    for item in items:
        if item.requirement not in requirements:
            raise ReportError(f"result of {item.nodeid or item.key}: requirement {item.requirement} is not registered")
        if item.key in there:
            for path, value in there[item.key]:
                _put_right(path, value, item)
        else:
            _add(results, run, requirements[item.requirement], item)
    environment = {"statement": dataplane_statement(run), "target": run.target, "implementation": run.implementation}
    lines = [f"{_escape(key)}={value}" for key, value in {**environment, **run.versions}.items()]
    write_text(results / "environment.properties", "\n".join(lines) + "\n")
    write_text(results / "categories.json", json.dumps(_CATEGORIES, indent=2) + "\n")
    return results


def _existing(results: Path) -> dict[str, list[tuple[Path, dict[str, Any]]]]:
    """The results that are there, by the item they are of; those of other tests are none of ours."""
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    with naming_the_disk(results):
        for path in sorted(results.glob("*-result.json")):
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                continue
            for label in value.get("labels", ()):
                if label.get("name") == ITEM_LABEL:
                    found.setdefault(label["value"], []).append((path, value))
    return found


def _put_right(path: Path, value: dict[str, Any], item: ItemResult) -> None:
    if value.get("status") != STATUS[item.verdict]:
        value["status"] = STATUS[item.verdict]
        value["statusDetails"] = {**value.get("statusDetails", {}), "message": message(item)}
        write_text(path, json.dumps(value, ensure_ascii=False))


def _add(results: Path, run: RunInfo, requirement: Requirement, item: ItemResult) -> None:
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run.run_id}/{item.key}"))
    files = []
    for number, (name, text) in enumerate(attachments(item)):
        source = f"{identity}-{number}-attachment.txt"
        write_text(results / source, text)
        files.append({"name": name, "source": source, "type": "text/plain"})
    start = int(datetime.fromisoformat(run.started).timestamp() * 1000)
    value = {
        "uuid": identity,
        "historyId": _digest(item.key),
        "testCaseId": _digest(item.requirement),
        "fullName": item.key,
        "name": f"{item.key} {requirement.title}",
        "description": requirement.sentence,
        "status": STATUS[item.verdict],
        "statusDetails": {"message": message(item), "trace": item.detail},
        "stage": "finished",
        "start": start,
        "stop": start + round(item.duration * 1000),
        "labels": [{"name": name, "value": text} for name, text in labels(requirement, item)],
        "parameters": [{"name": name, "value": text} for name, text in item.parameters.items()],
        "attachments": files,
    }
    write_text(results / f"{identity}-result.json", json.dumps(value, ensure_ascii=False))


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _escape(key: str) -> str:
    """A key of a .properties file ends at the first blank, = or : that is not escaped."""
    return "".join(f"\\{letter}" if letter in " =:" else letter for letter in key)
