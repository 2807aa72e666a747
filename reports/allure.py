"""What an Allure report shows of a requirement: labels, description, attachments; and putting them on a running test.

The results themselves are files (formats/allure.py): complete and right also for tests whose worker died.
"""

from __future__ import annotations

from kip_conformance.infra.judge.verdict import Verdict
from kip_conformance.reports.document import headline, reason
from kip_conformance.reports.model import ItemResult
from kip_conformance.reports.requirements import Requirement

__all__ = ["ITEM_LABEL", "STATUS", "attachments", "label_item", "labels", "message"]

ITEM_LABEL = "kip-item"
"""The label that says which item a result is of, whatever pytest calls it."""

STATUS: dict[Verdict, str] = {
    "pass": "passed",
    "fail": "failed",
    "harness-error": "broken",
    "not-runnable": "skipped",
}

_SEVERITY = {"M": "critical", "X": "normal", "S": "minor"}


def labels(requirement: Requirement, result: ItemResult) -> list[tuple[str, str]]:
    """(name, value) of each label: the requirement as tag and story, its profile and section, its level."""
    return [
        ("epic", requirement.profile),
        ("feature", requirement.section),
        ("story", f"{requirement.id} {requirement.title}"),
        ("tag", requirement.id),
        *([("tag", result.mode)] if result.mode else []),
        ("severity", _SEVERITY[requirement.level]),
        ("level", requirement.level),
        ("verdict", result.verdict),
        (ITEM_LABEL, result.key),
    ]


def message(result: ItemResult) -> str:
    """One paragraph: what was seen, or why nothing could be; empty for a pass."""
    return "" if result.verdict == "pass" else headline(result) if result.verdict == "fail" else reason(result)


def attachments(result: ItemResult) -> list[tuple[str, str]]:
    """(name, text) of the evidence that the result itself holds."""
    return [("grid: expected and observed", result.detail)] if result.detail else []


def label_item(requirement: Requirement, result: ItemResult) -> None:
    """Put labels, description and evidence on the test that is running in this process.

    Call it from within the test's own protocol, for example when its tear-down is reported. Does nothing when no
    Allure results are being collected.
    """
    import allure

    allure.dynamic.description(requirement.sentence)  # type: ignore[no-untyped-call]
    for name, value in labels(requirement, result):
        allure.dynamic.label(name, value)  # type: ignore[no-untyped-call]
    for name, text in attachments(result):
        allure.attach(text, name, allure.attachment_type.TEXT)
