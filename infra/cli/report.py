"""Show a run's results again, from its report.yaml. Nothing is judged anew: verdicts stay as they were published.

  kip-conformance report                          the last run, as it was summed up at its end
  kip-conformance report 1121-120331-9309         another run of reports/out or kip-out
  kip-conformance report results                  a folder, or a report.yaml of anyone's
  kip-conformance report --format html            write report.html beside report.yaml, and say where
  kip-conformance report --format timing          where the time of the run went
  kip-conformance report --format json            the whole report, for jq and its like

With --open-path nothing but a path is printed, for a browser or an editor:

  xdg-open "$(kip-conformance report --format html --open-path)"

Exit code 0 whatever the report says, 4 when there is none to be read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "show the results of a run again: text, html, timing, json"

FORMATS = ("text", "html", "timing", "json")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", metavar="RUN|PATH", nargs="?", default="last", help="default: the last run")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write there, not beside report.yaml or on the screen")
    parser.add_argument("--open-path", action="store_true", help="print the path of what is shown, and nothing else")


def run(options: argparse.Namespace) -> int:
    from kip_conformance.reports import showing

    path = showing.find_report(options.report, Path.cwd())
    if options.format == "html" or options.out:
        shown = showing.write(path, options.format, options.out)
        print(shown if options.open_path else f"Written: {shown}")
    elif options.open_path:
        print(path)
    else:
        print(showing.render(path, options.format, is_for_people=True), end="")
    return 0
