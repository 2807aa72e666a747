"""Figures: named series of measured values with their target, and how they are shown. What is measured is elsewhere."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Figure", "Figures", "environment", "load", "table"]

_FEW = 100  # below this a value is shown with a decimal


@dataclass(slots=True)
class Figure:
    """One thing that was measured several times. `target` is a limit: a ceiling, or a floor when `is_floor`."""

    name: str
    unit: str
    target: float | None = None
    is_floor: bool = False
    values: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """Whether the median keeps to the target; None without one."""
        if self.target is None:
            return None
        return self.median >= self.target if self.is_floor else self.median <= self.target

    def to_value(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "target": self.target,
            "target_is": "at least" if self.is_floor else "at most",
            "met": self.is_met,
            "values": self.values,
            "loads": self.loads,
        }


class Figures:
    """Collects figures. `say` gets one line for each value as it comes.

    With `patience`, each round first waits up to so many seconds until nobody else works on this machine.
    """

    def __init__(self, say: Callable[[str], None], *, patience: float = 0.0) -> None:
        self.say, self._patience = say, patience
        self.all: dict[str, Figure] = {}
        self.notes: dict[str, Any] = {}
        self._load = load()

    def next_round(self, number: int, rounds: int, what: str) -> None:
        """Say where we are, and take the machine's load: the figures that follow carry it."""
        waited = wait_until_idle(self._patience)
        self._load = load()
        if waited > 1.5:
            self.say(f"{what}: waited {waited:.0f} s for this machine to be idle")
        self.say(f"{what}: round {number} of {rounds} (load {self._load:.1f})")

    def add(self, name: str, value: float, unit: str, *, target: float | None = None, is_floor: bool = False) -> None:
        """One measured value of the figure `name`."""
        figure = self.all.setdefault(name, Figure(name, unit, target, is_floor))
        figure.values.append(value)
        figure.loads.append(self._load)
        self.say(f"  {name}: {shown(value)} {unit}")

    def note(self, name: str, value: Any) -> None:
        """Something that goes with the figures and is no series: a break-down, a ratio."""
        self.notes[name] = value


def load() -> float:
    """The machine's load average over the last minute, our own share included."""
    return os.getloadavg()[0]


def wait_until_idle(patience: float) -> float:
    """Wait until four fifths of the processors' time of a second were idle; returns the seconds waited, at most so."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        before = _jiffies()
        time.sleep(1.0)
        idle, total = (now - then for now, then in zip(_jiffies(), before, strict=True))
        if idle > 0.8 * total:
            break
    return time.monotonic() - start


def _jiffies() -> tuple[int, int]:
    """Idle and all time of the processors, in clock ticks (proc(5), /proc/stat)."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def shown(value: float) -> str:
    """A value with as many digits as it deserves."""
    return f"{value:,.1f}" if abs(value) < _FEW else f"{value:,.0f}"


def table(figures: Sequence[Figure]) -> str:
    """All figures as a Markdown table that reads well as plain text."""
    head = ("what", "median", "min", "max", "runs", "target", "met", "load")
    rows = [
        (
            figure.name,
            f"{shown(figure.median)} {figure.unit}",
            shown(min(figure.values)),
            shown(max(figure.values)),
            str(len(figure.values)),
            _target(figure),
            {True: "yes", False: "NO", None: ""}[figure.is_met],
            f"{min(figure.loads):.1f}-{max(figure.loads):.1f}",
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    lines.insert(1, "-|-".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" if number != 1 else f"|-{line}-|" for number, line in enumerate(lines))


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{'>=' if figure.is_floor else '<='} {figure.target:,g} {figure.unit}"


def environment() -> Mapping[str, str]:
    """What the figures depend on."""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} cores, {memory} GiB, {platform.machine()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
