"""The HTML page: complete, self-contained, safe with any text; and as a browser shows it, narrow and wide.

The tests with a browser need a Chromium on PATH; where there is none they are skipped and say so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from kip_conformance.reports.document import document
from kip_conformance.reports.fold import conclude
from kip_conformance.reports.formats import html
from kip_conformance.reports.model import ItemResult, RunInfo

from .browser import PROGRAM, Tab, browsing
from .few_rows import TEN, few_rows
from .sample_results import ITEMS, RUN

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on PATH: the page was not looked at")


def report_of(run: RunInfo = RUN, items: list[ItemResult] = ITEMS) -> dict[str, Any]:
    return document(run, conclude(run, items, few_rows()))


class Reader(HTMLParser):
    """Tags, ids, links, and the visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._is_hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self._is_hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._is_hidden = False

    def handle_data(self, data: str) -> None:
        if not self._is_hidden:
            self.text += data


PAGE = html.render(report_of())
READ = Reader(PAGE)


def test_the_first_thing_said_is_that_it_is_a_lab() -> None:
    body = READ.text.partition(report_of()["run"])[2].strip()
    assert body.startswith("LAB RESULT: real Kubernetes components, simulated network")


def test_every_requirement_and_every_item_in_trouble_is_there() -> None:
    rows = [attributes["data-requirement"] for tag, attributes in READ.attributes if "data-requirement" in attributes]
    assert sorted(filter(None, rows)) == sorted(TEN)
    for item in ITEMS:
        assert item.key in READ.text
        if item.verdict in ("fail", "harness-error"):
            assert (item.headline or item.reason) in READ.text
    reruns = [item["reproduce"] for row in report_of()["rows"] for item in row["items"] if item["verdict"] == "fail"]
    assert len(reruns) == 3
    assert all(command in READ.text for command in reruns)


def test_the_page_asks_for_nothing_and_every_link_in_it_leads_somewhere() -> None:
    ids = {attributes["id"] for _, attributes in READ.attributes if "id" in attributes}
    links = [attributes["href"] or "" for _, attributes in READ.attributes if "href" in attributes]
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    assert [link for link in links if not link.startswith(("#", "data:", "evidence/"))] == []
    assert not [tag for tag, attributes in READ.attributes if "src" in attributes]
    assert not re.search(r"https?://|@import|url\(", PAGE)


def test_a_finding_shows_its_hops_owner_and_evidence() -> None:
    for words in ("First broken hop: peer machine on node-b", "likely owner: node", "evidence/P2P-03-udp/node-b.pcap"):
        assert words in READ.text
    hops = [attributes["class"] for tag, attributes in READ.attributes if tag == "li" and "class" in attributes]
    assert hops == ["good", "good", "bad first", "unknown"]


def test_a_finding_may_know_little() -> None:
    bare = {"client": "a", "server": "b", "hops": [{"name": "route", "ok": None}]}
    page = html.render(report_of(items=[replace(item, finding=bare) for item in ITEMS if item.verdict == "fail"]))
    assert "No hop was found broken" in page


def test_texts_of_the_cluster_are_never_markup() -> None:
    assert "<script>alert(1)" not in PAGE
    assert "<script>alert(1)</script> & co" in READ.text


def test_a_grid_marks_exactly_the_cells_that_differ() -> None:
    wrong = [attributes for tag, attributes in READ.attributes if tag == "td" and attributes.get("class") == "wrong"]
    differing = sum(not case.ok for item in ITEMS if item.verdict == "fail" for grid in item.grids for case in grid)
    # Once as observed, once as a difference.
    assert len(wrong) == 2 * differing
    assert "node-a → node-b: expected open, saw timeout(no answer)" in {cell["title"] for cell in wrong}


def test_a_run_without_red_has_no_section_for_it() -> None:
    green = [replace(item, verdict="pass", partial=False, reason="") for item in ITEMS]
    page = html.render(report_of(replace(RUN, budgets={}, address_plan={}, steps=(), is_lab=False), green))
    assert 'id="failed"' not in page
    assert 'id="errors"' not in page
    assert 'class="result conformant"' in page


def test_a_run_that_was_stopped_says_so() -> None:
    run = replace(RUN, aborted="SIGTERM", is_interrupted=True, unreached=("SVC-01[nftables-tcp]",), modes=())
    page = html.render(report_of(run, [item for item in ITEMS if item.mode is None]))
    assert "The run ended early: SIGTERM" in page
    assert "planned, and never begun" in page


def test_hundreds_of_red_checks_make_a_page_of_bearable_size() -> None:
    odd = next(item for item in ITEMS if item.key == "IDN-04[tcp]")
    many = [replace(odd, parameters={"protocol": "tcp", "case": f"case-{number}"}) for number in range(300)]
    began = time.process_time()
    page = html.render(report_of(items=many))
    assert len(page) < 6_000_000
    assert time.process_time() - began < 10
    assert page.count('class="card fail"') == 300
    assert "too many checks failed to draw them all" in page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / html.NAME
    path.write_text(PAGE, encoding="utf-8")
    return path


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_scrolling_sideways(
    tab: Tab, page: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    tab.complaints.clear()
    tab.requests.clear()
    tab.show(page, width=width, dark=dark)
    for everything in (False, True):
        if everything:
            tab.value("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert tab.value("document.documentElement.scrollWidth") <= width
        assert tab.value("innerWidth") == width
    assert tab.value("document.querySelectorAll('tr[data-requirement]:not([hidden])').length") == len(TEN)
    if not dark:
        tab.screenshot(tmp_path / f"page-{width}.png")
        assert (tmp_path / f"page-{width}.png").stat().st_size > 20_000
    assert tab.complaints == []
    assert tab.requests == [page.as_uri()]


@needs_browser
def test_filters_show_what_was_asked_for(tab: Tab, page: Path) -> None:
    tab.show(page, width=1280)
    shown = "[...document.querySelectorAll('tr[data-requirement]:not([hidden])')].map((row) => row.dataset.requirement)"
    tab.value("document.querySelectorAll('input[name=verdict]').forEach((box) => box.value != 'fail' && box.click())")
    assert tab.value(shown) == ["IDN-04", "P2P-03", "NPT-01"]
    tab.value("(words.value = 'nodeport', words.dispatchEvent(new Event('input', {bubbles: true})), 1)")
    assert tab.value(shown) == ["NPT-01"]
    assert tab.value("document.querySelector('#shown').value") == "1 of 10 shown"


@needs_browser
def test_the_copy_button_takes_the_command(tab: Tab, page: Path) -> None:
    tab.show(page, width=1280)
    tab.value("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    tab.value("document.querySelector('.card button.copy').click()")
    expected = next(item for row in report_of()["rows"] for item in row["items"] if item["verdict"] == "fail")
    assert tab.value("window.copied") == expected["reproduce"]
    assert tab.value("document.querySelector('.card button.copy').textContent") == "Copied"


@needs_browser
def test_it_can_be_read_without_javascript(tab: Tab, page: Path) -> None:
    tab.show(page, width=390, script=False)
    root = tab.call("DOM.getDocument")["root"]["nodeId"]

    def count(selector: str) -> int:
        return len(tab.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"])

    assert count("tr[data-requirement]") == len(TEN)
    assert count("html.has-js") == 0
    assert count(".card[open]") == 4
