"""The figures of plots: every number that a plot shows."""

from __future__ import annotations

import pytest

from perfsuite.report.page.document import Cell
from perfsuite.report.page.figures import figures
from perfsuite.report.page.plots import AnyPlot
from tests.report.page.sample_document import BATCH_TIMES, MODES, STAGES, TIMELINE, WORKER_CURVE


@pytest.mark.parametrize(
    ("plot", "row"),
    [
        (WORKER_CURVE, ("2", "threads", "231/s", "219/s to 245/s")),
        (MODES, ("moderate", "+8.2 %", "+7.0 % to +10.0 %")),
        (STAGES, ("0 workers", "decode", "21.0 ms", "63.6 %")),
        (TIMELINE, ("device", "forward", "12", "48.0 ms")),
        (BATCH_TIMES, ("2 threads", "31", "1.00 ms", "1.60 ms", "2.50 ms", "3.10 ms", "4.00 ms", "200 ms")),
    ],
    ids=lambda value: getattr(value, "title", ""),
)
def test_figures(plot: AnyPlot, row: tuple[Cell, ...]) -> None:
    assert row in figures(plot).rows


def test_every_point_has_a_row() -> None:
    assert len(figures(WORKER_CURVE).rows) == sum(len(series.points) for series in WORKER_CURVE.series)
