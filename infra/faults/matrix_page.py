"""The kill matrix as one HTML page that needs nothing else: faults down, requirements across, light and dark."""

from __future__ import annotations

from html import escape

from kip_conformance.infra.faults.matrix import KillMatrix, Trial, cell_of, name_of

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --red: #c62828; --err: #b26a00; --ok: #2e7d32; --dim: #6a737d;
  --hit: #fdeaea; --odd: #fff4e0; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --line: #3a414a; --red: #ff8a80; --err: #ffb74d; --ok: #81c784;
  --dim: #9aa4af; --hit: #4a1f22; --odd: #45340f; --back: #14181d; } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem; background: var(--back); }
.scroll { overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: separate; border-spacing: 0; }
th, td { padding: 2px 5px; border-bottom: 1px solid var(--line); text-align: center; white-space: nowrap; }
thead th { position: sticky; top: 0; background: var(--back); writing-mode: vertical-rl; transform: rotate(180deg);
  font-weight: 500; height: 5rem; z-index: 1; }
tbody th { position: sticky; left: 0; background: var(--back); text-align: left; font-weight: 500; }
thead th:first-child { left: 0; z-index: 2; }
td.fail { color: var(--red); background: var(--hit); font-weight: 700; }
td.harness-error { color: var(--err); background: var(--odd); }
td.pass { color: var(--ok); } td.not-runnable, td.none { color: var(--dim); }
td.owed { outline: 2px solid var(--red); outline-offset: -2px; }
li { margin: .2rem 0; } .none { color: var(--dim); }
""".strip()
_MARKS = {"fail": "●", "harness-error": "!", "pass": "·", "not-runnable": "n/r", "": ""}
_WORDS = {
    "fail": "red",
    "harness-error": "harness-error",
    "pass": "green",
    "not-runnable": "not-runnable",
    "": "not run",
}


def page(matrix: KillMatrix) -> str:
    """The whole page. Every cell says in words what it is, for those who hover over it."""
    lists = (
        ("Checks without a kill", matrix.checks_without_a_kill()),
        ("Faults that survive", matrix.faults_that_survive()),
        ("Red without cause", matrix.red_without_cause()),
    )
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in matrix.requirements)
    rows = "\n".join(_row(matrix, trial) for trial in matrix.trials)
    sample = ", a sample of the faults" if matrix.is_sample else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Kill matrix</title>
<style>
{_STYLE}
</style>
<h1>Kill matrix</h1>
<p>{len(matrix.trials)} trials against {len(matrix.requirements)} requirements{sample}.
One fault at a time in a green lab; ● red, ! harness-error, · green.
A frame marks what should have gone red and did not.</p>
{"".join(_list(title, entries) for title, entries in lists)}
<div class="scroll"><table>
<thead><tr><th scope="col">fault</th>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
</html>
"""


def _row(matrix: KillMatrix, trial: Trial) -> str:
    cells = "".join(_cell(trial, each) for each in matrix.requirements)
    return f'<tr><th scope="row" title="{escape(trial.fault.sentence)}">{escape(name_of(trial))}</th>{cells}</tr>'


def _cell(trial: Trial, requirement: str) -> str:
    verdict = cell_of(trial, requirement)
    must = requirement in trial.fault.kills
    classes = (verdict or "none") + (" owed" if must and verdict != "fail" else "")
    words = f"{name_of(trial)}, {requirement}: {_WORDS[verdict]}" + (", must be red" if must else "")
    return f'<td class="{classes}" title="{escape(words)}">{_MARKS[verdict]}</td>'


def _list(title: str, entries: list[str]) -> str:
    body = "".join(f"<li>{escape(each)}</li>" for each in entries)
    return f"<h2>{title}</h2>" + (f"<ul>{body}</ul>" if entries else '<p class="none">none</p>')
