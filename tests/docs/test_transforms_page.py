"""docs/results/transforms.md shows the figures of transforms.json, all of them and no others."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from benchmarks.transforms_page import FIGURES, PAGE, render_page

RECORD: dict[str, Any] = {
    "command": "pytest benchmarks/test_normalize.py",
    "date": "2026-01-31",
    "seconds": 60,
    "load": [0.5, 1.5],
    "environment": {"cpu": "Invented 9000", "cores": "2", "gpu": "none", "python": "3.12"},
    "versions": {"torch": "2.15.0"},
    "rows": [
        {
            "kind": kind,
            "workload": "benchmarks/test_normalize.py::test_one_batch[32-NCHW]::ours",
            "reference": "benchmarks/test_normalize.py::test_one_batch[32-NCHW]::filling",
            "metric": metric,
            "value": 1.25,
            "low": 1.2,
            "high": None,
            "bound": bound,
            "outcome": outcome,
        }
        for kind, metric, bound, outcome in (
            ("limit", "speedup", 1.0, "kept"),
            ("aim", "speedup", 1.5, "unclear"),
            ("limit", "overhead", 0.5, "broken"),
        )
    ],
}


def test_the_page_is_that_of_its_figures() -> None:
    assert PAGE.read_text() == render_page(json.loads(FIGURES.read_text()))


def test_a_changed_figure_changes_the_page() -> None:
    figures = json.loads(FIGURES.read_text())
    changed = copy.deepcopy(figures)
    changed["rows"][0]["value"] += 0.1
    assert render_page(changed) != render_page(figures)


def test_limit_and_aim_of_a_metric_share_a_row() -> None:
    page = render_page(RECORD)
    assert (
        "| one batch, 32, NCHW | filling | speedup | 1.25 | 1.20 to unbounded "
        "| at least 1.00: kept | at least 1.50: unclear |"
    ) in page
    assert "| one batch, 32, NCHW | filling | overhead | 125.0 % |" in page
    assert "1 of 2 limits are kept, 0 unclear, 1 broken; 0 of 1 aims are reached." in page


@pytest.mark.parametrize("fact", ["Invented 9000", "2026-01-31", "torch 2.15.0", "0.5 and 1.5"])
def test_the_page_says_where_and_when(fact: str) -> None:
    assert fact in render_page(RECORD)
