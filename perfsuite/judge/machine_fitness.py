"""Whether a machine is fit to judge times: null pairs compare base with base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median, stdev

NULL_PAIRS = 6
NULL_DEVIATIONS = 3.5  # standard deviations; with six pairs that is a t of 8.6


def unfit_workloads(null_log_ratios: Mapping[str, Sequence[float]], tolerance: float) -> tuple[str, ...]:
    """Workloads whose base differs from base: in every null pair, and by far more than the spread.

    >>> unfit_workloads({"a": [0.05, 0.052, 0.051, 0.05, 0.049, 0.05]}, tolerance=0.01)
    ('a',)
    """
    return tuple(name for name, ratios in null_log_ratios.items() if _base_differs(ratios, tolerance))


def _base_differs(log_ratios: Sequence[float], tolerance: float) -> bool:
    if len(log_ratios) < NULL_PAIRS or not (min(log_ratios) > 0 or max(log_ratios) < 0):
        return False
    is_large = abs(median(log_ratios)) > tolerance
    return is_large and abs(fmean(log_ratios)) > NULL_DEVIATIONS * stdev(log_ratios)
