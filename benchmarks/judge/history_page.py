"""The page docs/results/history.md, from the counts of history_promise.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.judge.promises_page import share
from perfsuite.report.markdown_table import markdown_table

Row = Mapping[str, Any]

_HEAD = """# Does the history find what changed?

Made by `python -m benchmarks.judge.history_promise`; the counts are in `history.json` beside this page.
All series are invented, so the truth is known: 200 commits, one run of each, with up to three steps of one
size at random places (`benchmarks/judge/noise.py` has the noise). A found change within 5 commits of a
planted one counts as that one. The plain threshold reports every commit that is more than 5 % from the one
before it. Ranges are Clopper-Pearson intervals of 95 %.
"""


def render_page(results: Mapping[str, Any]) -> str:
    rows = results["scores"]
    parts = [
        _HEAD,
        _summary(rows),
        _alarms(rows),
        _steps(rows),
        _creep(results["creep"], results["series"]),
        _LIMITS,
    ]
    return "\n".join(parts)


def _summary(rows: list[Row]) -> str:
    table = []
    for label, excluded in (("all noise", ()), ("without AR .9", ("AR .9",))):
        for detector in dict.fromkeys(row["detector"] for row in rows):
            chosen = [
                row
                for row in rows
                if row["detector"] == detector
                and row["signal"].startswith("steps")
                and row["noise"] not in excluded
            ]
            table.append((label, "", detector, *_cells(_total(chosen))))
    return f"## All noise together, steps of 2 to 20 %\n\n{_steps_table(table)}\n"


def _steps_table(rows: list[tuple[str, ...]]) -> str:
    columns = ("noise", "step", "rule", "precision", "recall", "within one commit", "in the stated range")
    return markdown_table(columns, rows, numeric=(1, 3, 4, 5, 6))


def _total(rows: list[Row]) -> dict[str, int]:
    names = ("planted", "found", "matched", "within_one", "in_range")
    return {name: sum(row[name] for row in rows) for name in names}


def _cells(row: Mapping[str, int]) -> tuple[str, ...]:
    def of(count: str, total: str) -> str:
        return share(row[count], row[total]) if row[total] else "-"

    return (
        of("matched", "found"),
        of("matched", "planted"),
        of("within_one", "matched"),
        of("in_range", "matched"),
    )


def _alarms(rows: list[Row]) -> str:
    table = []
    for noise in dict.fromkeys(row["noise"] for row in rows):
        for detector in dict.fromkeys(row["detector"] for row in rows):
            shares = [
                share(row["series_with_alarm"], row["series"])
                for signal in ("none", "drift of 10 %")
                for row in rows
                if (row["noise"], row["detector"], row["signal"]) == (noise, detector, signal)
            ]
            table.append((noise, detector, *shares))
    lines = (
        "## Series without any step that report one",
        "",
        "The drift is 0.05 % with every commit, 10 % in all: a step in it is a false alarm too.",
        "",
        markdown_table(("noise", "rule", "no change", "drift of 10 %"), table, numeric=(2, 3)),
        "",
    )
    return "\n".join(lines)


def _steps(rows: list[Row]) -> str:
    table = [
        (row["noise"], row["signal"].removeprefix("steps of "), row["detector"], *_cells(row))
        for row in rows
        if row["signal"].startswith("steps")
    ]
    return f"## Each noise and size\n\n{_steps_table(table)}\n"


def _creep(creep: Mapping[str, Mapping[str, int]], series: int) -> str:
    columns = ("noise", "nothing", "0.02 % each commit, 4 % in all", "0.05 % each, 10 % in all")
    table = ((noise, *(share(count, series) for count in counts.values())) for noise, counts in creep.items())
    lines = (
        "## Creep and drift",
        "",
        "Series in which drift or creep is reported, by what is planted. No step is planted, and with",
        "nothing planted every report is a false alarm.",
        "",
        markdown_table(columns, table, numeric=(1, 2, 3)),
        "",
    )
    return "\n".join(lines)


_LIMITS = """## Limits

- A step that is small against the noise is found late or not at all, and its commit is uncertain: that is
  what the stated range is for. More runs of each commit make the noise
  smaller; they are one point, their median.
- Where one process in two is 10 % slow for its whole life, one run per commit does not show a step of 2 %.
- A machine that drifts by itself (AR .9) hides half of the steps, of any size, and is reported as creep. The
  gate compares in turns, so drift affects both of its sides.
- A step needs three commits on each side. For the newest commits, use the gate.
"""
