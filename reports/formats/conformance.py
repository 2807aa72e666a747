"""report.yaml: the conformance report that anyone can publish, checked against report.schema.json before it is written.

What it says is document.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from kip_conformance.reports.document import document
from kip_conformance.reports.files import write_text
from kip_conformance.reports.fold import ReportError, conclude
from kip_conformance.reports.model import ItemResult, RunInfo
from kip_conformance.reports.requirements import load_registry

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

__all__ = ["NAME", "check", "render", "schema", "write"]

NAME = "report.yaml"


def write(run: RunInfo, items: Sequence[ItemResult], folder: Path) -> Path:
    """Write report.yaml into `folder`. Raises ReportError (nothing is written) or EnvironmentFault."""
    path = folder / NAME
    report = document(run, conclude(run, items, load_registry()))
    check(report)
    write_text(path, render(report))
    return path


def render(report: Mapping[str, Any]) -> str:
    """`report` as YAML, its statement about the dataplane first, long texts as blocks."""
    body = yaml.dump(dict(report), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120)
    return f"# {report['statement']}\n{body}"


def check(report: Mapping[str, Any]) -> None:
    """Raises ReportError, one line naming the place in the report, when it does not keep to the schema."""
    errors = sorted(_validator().iter_errors(report), key=lambda error: (len(error.path), error.json_path))
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        message = errors[0].message
        message = message if len(message) <= 200 else f"{message[:200]} …"
        raise ReportError(
            f"report.yaml was not written: {errors[0].json_path}: {message}{more}; "
            "this is a defect of kip-conformance, not of the cluster: please report it"
        )


def schema() -> dict[str, Any]:
    """The report's JSON schema, draft 2020-12."""
    text = resources.files("kip_conformance.reports").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> Draft202012Validator:
    # Imported here, because it takes longer than all the rest of this package.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


class _Dumper(yaml.SafeDumper):
    """The safe dumper with `|` blocks for texts of several lines, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # YAML has no block style for lines that end in blanks.
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    is_block = "\n" in lines
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", lines if is_block else text, style="|" if is_block else None
    )


_Dumper.add_representer(str, _text)
