"""Trends in words: what changed, when, and which commits can be the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1

from perfsuite.judge.history.changes import LevelChange
from perfsuite.judge.history.drift import Drift
from perfsuite.judge.history.segmentation import MIN_SEGMENT, noise_scale
from perfsuite.judge.history.trend import Trend
from perfsuite.judge.units import MetricKind, format_quantity
from perfsuite.measure.measurement import Environment
from perfsuite.report.history.links import ForgeLinks
from perfsuite.report.text import format_change
from perfsuite.store.history import EnvironmentHistory, HistoryCommit

NO_LINKS = ForgeLinks()
SHORT = 7  # characters of a commit in a column


@dataclass(frozen=True, slots=True)
class CauseRange:
    """The commits that contain the cause of a change, at 95 %: after `good`, up to `bad`."""

    good: HistoryCommit
    bad: HistoryCommit
    likely: HistoryCommit
    measured: int  # commits in the range that were measured

    @property
    def text(self) -> str:
        """The range as git writes it."""
        return f"{self.good.label}..{self.bad.label}"


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The trends of one environment, and what identifies it."""

    history: EnvironmentHistory
    trends: Sequence[Trend]
    environment: Environment | None = None
    links: ForgeLinks = NO_LINKS

    def commit(self, trend: Trend, index: int) -> HistoryCommit:
        return self.history.commits[trend.commits[index]]

    def cause(self, trend: Trend, change: LevelChange) -> CauseRange:
        return CauseRange(
            good=self.commit(trend, change.first - 1),
            bad=self.commit(trend, change.last),
            likely=self.commit(trend, change.index),
            measured=change.last - change.first + 1,
        )

    @property
    def headline(self) -> str:
        """One sentence: how much is slower lately."""
        slower = sum(trend.slower_recently for trend in self.trends)
        counts = f"{_count(len(self.trends), 'benchmark')} over {_count(len(self.history.commits), 'commit')}"
        return f"{counts}: {f'{slower} slower lately' if slower else 'none slower lately'}"

    @property
    def by_attention(self) -> list[Trend]:
        """The trends that need attention first, the largest change first."""
        return sorted(self.trends, key=_attention)


def describe_last(report: HistoryReport, trend: Trend) -> str:
    """What changed last, in at most 28 columns."""
    event = trend.last_event
    if event is None:
        if len(trend.seconds) < 2 * MIN_SEGMENT:
            return f"{_count(len(trend.seconds), 'commit')}: too few"
        return describe_creep(report, trend) or f"steady ±{_noise(trend)}"
    if isinstance(event, Drift):
        return f"{format_change(event.change)} drift in {event.last - event.first} commits"
    ago = len(trend.seconds) - event.index
    return f"{format_change(event.change)} at {report.commit(trend, event.index).label[:SHORT]}, {ago} ago"


def describe_creep(report: HistoryReport, trend: Trend) -> str:
    """The creep since the anchor; empty without any."""
    if trend.creep is None:
        return ""
    anchor = report.commit(trend, trend.creep.anchor).label[:SHORT]
    return f"crept {format_change(trend.creep.change)} since {anchor}"


def describe_event(report: HistoryReport, trend: Trend, event: LevelChange | Drift) -> str:
    """A change in a sentence, with the range of commits."""
    if isinstance(event, Drift):
        first, last = (report.commit(trend, index).label for index in (event.first, event.last))
        return (
            f"drifted {format_change(event.change)} over {event.last - event.first} commits, "
            f"{first}..{last}; no single one is the cause"
        )
    cause = report.cause(trend, event)
    count = "1 measured commit" if cause.measured == 1 else f"{cause.measured} measured commits"
    return (
        f"{format_change(event.change)} at {cause.likely.label}, {cause.likely.created_at[:10]}; "
        f"{count} in {cause.text}"
    )


def newest_time(trend: Trend) -> str:
    """The level of the newest commits."""
    return format_quantity(trend.levels[-1], MetricKind.SECONDS)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _noise(trend: Trend) -> str:
    from numpy import log

    return f"{expm1(noise_scale(log(trend.seconds))):.1%}".replace("%", " %")


def _attention(trend: Trend) -> tuple[bool, bool, float, str]:
    event = trend.last_event
    size = abs(event.log_change) if event else abs(trend.creep.log_change) if trend.creep else 0.0
    return (not trend.slower_recently, event is None and trend.creep is None, -size, trend.workload)
