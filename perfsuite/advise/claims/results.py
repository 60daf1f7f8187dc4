"""The measurements that claims are judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite

from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.advise.confidence import LEVEL
from perfsuite.judge.amdahl import max_speedup_without
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.verdict import Interval


@dataclass(frozen=True, slots=True)
class SpeedupRow:
    """One variant of a table: its rate, and its speed-up over the table's baseline with an interval."""

    name: str
    items_per_second: float
    speedup: Interval
    estimate: float
    blocks: int
    first_call_seconds: float | None = None  # including compilation

    def break_even_calls(self, baseline: SpeedupRow, items_per_call: float) -> float | None:
        """Calls after which the compilation of the first is paid back; None where it never is."""
        saved_seconds = items_per_call / baseline.items_per_second - items_per_call / self.items_per_second
        if self.first_call_seconds is None or saved_seconds <= 0:
            return None
        return self.first_call_seconds / saved_seconds


def speedup_row(
    name: str, ratios: Sequence[float], items_per_second: float, first_call_seconds: float | None = None
) -> SpeedupRow:
    """A row from paired ratios, the baseline's time over the variant's."""
    return SpeedupRow(
        name=name,
        items_per_second=items_per_second,
        speedup=median_interval(ratios, LEVEL),
        estimate=quantile(ratios, 0.5),
        blocks=len(ratios),
        first_call_seconds=first_call_seconds,
    )


@dataclass(frozen=True, slots=True)
class LoaderStall:
    """The share of each epoch in which the step waits for its loader, and the bounds that follow."""

    name: str
    shares: tuple[float, ...]  # one per epoch
    gpu_utilization: float | None = None  # median of NVML's readings, 0 to 1

    @property
    def share(self) -> float:
        return quantile(self.shares, 0.5)

    @property
    def loading_speedup_bound(self) -> Interval:
        """Amdahl's bound of how many times faster the epoch gets by faster loading alone.

        >>> LoaderStall("", (0.5,) * 20).loading_speedup_bound.low
        2.0
        """
        share = median_interval(self.shares, LEVEL)
        return Interval(max_speedup_without(max(share.low, 0.0)), max_speedup_without(share.high), LEVEL)

    @property
    def step_speedup_bound(self) -> float:
        """Amdahl's bound of how many times faster the epoch gets by a faster step alone."""
        return 1 / self.share if self.share > 0 else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsReport:
    """Everything measured for the claims, in one run on one machine; parts still to come are empty."""

    settings: Mapping[str, str]
    items_per_call: int
    # Rows by table; the first row of each is its baseline.
    tables: Mapping[str, tuple[SpeedupRow, ...]] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes by variant; eager is the baseline
    memory_metric: str = ""
    stalls: tuple[LoaderStall, ...] = ()
    processes: Mapping[str, tuple[ProcessTimes, ...]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(
        default_factory=dict
    )  # reasons by a part's title, or `Title: variant`
    pending: tuple[str, ...] = ()  # titles of parts that are not measured yet

    def row(self, table: str, variant: str) -> SpeedupRow | None:
        return next((row for row in self.tables.get(table, ()) if row.name == variant), None)

    def with_rejected(self, reasons: Mapping[str, str]) -> ClaimsReport:
        return replace(self, rejected={**self.rejected, **reasons})

    def stall(self, loader: str) -> LoaderStall | None:
        return next((stall for stall in self.stalls if stall.name == loader), None)


def format_interval(interval: Interval) -> str:
    """An interval as text, without infinite ends.

    >>> format_interval(Interval(1.21, 1.3, 0.99)), format_interval(Interval(-inf, inf, 0.99))
    ('1.21-1.30', 'too few blocks')
    """
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return "too few blocks"
    return f"{interval.low:.2f}-{interval.high:.2f}"
