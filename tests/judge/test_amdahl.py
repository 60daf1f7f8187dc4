"""Amdahl's bound."""

from __future__ import annotations

from math import inf

import pytest

from perfsuite.judge.amdahl import max_speedup_without


@pytest.mark.parametrize(
    ("part", "whole", "bound"),
    [(0.0, 1.0, 1.0), (0.75, 1.0, 4.0), (3.0, 4.0, 4.0), (1.0, 1.0, inf), (2.0, 1.0, inf)],
)
def test_the_bound_is_the_whole_over_what_remains(part: float, whole: float, bound: float) -> None:
    assert max_speedup_without(part, whole) == bound
