"""Amdahl's bound."""

from __future__ import annotations

from math import inf

import pytest

from perfsuite.judge.amdahl import max_speedup_with_overlap, max_speedup_without


@pytest.mark.parametrize(
    ("part", "whole", "bound"),
    [(0.0, 1.0, 1.0), (0.75, 1.0, 4.0), (3.0, 4.0, 4.0), (1.0, 1.0, inf), (2.0, 1.0, inf)],
)
def test_the_bound_is_the_whole_over_what_remains(part: float, whole: float, bound: float) -> None:
    assert max_speedup_without(part, whole) == bound


def test_the_bound_of_the_report_is_22_percent_without_overlap_and_nothing_with_it() -> None:
    """Normalize was 87.84 % of transforms that were 25 % of a run: 22 % at most. It gained nothing."""
    transforms, step = 0.25, 0.75
    normalize = 0.8784 * transforms
    assert 1 - 1 / max_speedup_without(normalize) == pytest.approx(0.22, abs=0.001)
    assert max_speedup_with_overlap(normalize, side=transforms, other_side=step) == 1.0


@pytest.mark.parametrize(
    ("part", "side", "other_side", "bound"),
    [(1.0, 4.0, 0.0, 4 / 3), (1.0, 4.0, 3.5, 4 / 3.5), (4.0, 4.0, 0.0, inf), (4.0, 4.0, 1.0, 4.0)],
)
def test_with_overlap_the_slower_side_is_what_remains(
    part: float, side: float, other_side: float, bound: float
) -> None:
    assert max_speedup_with_overlap(part, side, other_side) == pytest.approx(bound)
