"""Every fact of facts.py, by packets through one network; all are asked at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from .facts import FACTS, Fact
from .packets import Packets
from .page import page

PAGE = Path(__file__).parents[3] / "docs" / "network-facts.md"


@pytest.fixture(scope="module")
def outcomes(packets: Packets) -> dict[str, str]:
    said = packets.probe(*(fact.probe for fact in FACTS), within=2.5)
    return dict(zip((fact.name for fact in FACTS), said, strict=True))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_a_documented_fact(fact: Fact, outcomes: dict[str, str]) -> None:
    assert outcomes[fact.name] == fact.expected, f"{fact.sentence} ({fact.document}): {fact.probe}"


def test_facts_have_names_of_their_own_and_documents() -> None:
    assert len({fact.name for fact in FACTS}) == len(FACTS) >= 40
    assert all(fact.sentence and fact.document for fact in FACTS)


def test_the_page_says_what_the_facts_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "make docs"
