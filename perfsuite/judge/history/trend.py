"""The trend of one workload over the commits that measured it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from perfsuite.errors import UsageError
from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.history.changes import LevelChange, measure_changes
from perfsuite.judge.history.drift import Creep, Drift, find_creep, separate_drift
from perfsuite.judge.history.segmentation import find_boundaries
from perfsuite.judge.order_statistics import interquartile_mean
from perfsuite.judge.units import Range

RECENT_COMMITS = 20  # a change this young needs attention


@dataclass(frozen=True, slots=True)
class TrendSettings:
    """What is reported: changes from this fraction on, and creep since this commit."""

    tolerance: float = 0.01
    anchor: int = 0  # index among all commits of the environment

    def __post_init__(self) -> None:
        Range(0, 1, with_low=True).check("tolerance", self.tolerance)
        if self.anchor < 0:
            raise UsageError(f"anchor: {self.anchor}, expected the index of a commit")


@dataclass(frozen=True, slots=True)
class Trend:
    """Times of a workload, and what changed. All indices count the commits that measured the workload."""

    workload: str
    seconds: FloatArray  # per item, one per commit
    commits: tuple[int, ...]  # the index of each among the commits of the environment
    changes: tuple[LevelChange, ...] = ()
    drifts: tuple[Drift, ...] = ()
    creep: Creep | None = None

    @property
    def level_ends(self) -> tuple[int, ...]:
        """The indices between which the level is constant, with 0 and the end."""
        return (0, *(change.index for change in self.changes), len(self.seconds))

    @property
    def levels(self) -> tuple[float, ...]:
        """The time of each level in seconds."""
        return tuple(
            float(np.exp(interquartile_mean(np.log(self.seconds[start:stop]))))
            for start, stop in pairwise(self.level_ends)
        )

    @property
    def events(self) -> tuple[LevelChange | Drift, ...]:
        """Steps and drifts, oldest first."""
        return tuple(sorted((*self.changes, *self.drifts), key=_event_end))

    @property
    def last_event(self) -> LevelChange | Drift | None:
        return self.events[-1] if self.events else None

    @property
    def slower_recently(self) -> bool:
        """Whether it needs attention: slower lately, or crept upwards."""
        event = self.last_event
        is_recent = event is not None and len(self.seconds) - _event_end(event) <= RECENT_COMMITS
        slower = event is not None and event.log_change > 0 and is_recent
        return slower or (self.creep is not None and self.creep.log_change > 0)


def analyze_workload(
    workload: str, seconds: FloatArray, settings: TrendSettings | None = None
) -> Trend | None:
    """The trend of a column of times; NaN where a commit did not measure it. None without any time."""
    settings = settings or TrendSettings()
    measured = np.flatnonzero(np.isfinite(seconds) & (seconds > 0))
    if not len(measured):
        return None
    times = seconds[measured]
    logs = np.log(times)
    found = measure_changes(logs, find_boundaries(logs), settings.tolerance)
    changes, drifts = separate_drift(logs, found)
    anchor = int(np.searchsorted(measured, settings.anchor))
    creep = find_creep(logs, changes, anchor, settings.tolerance)
    return Trend(workload, times, tuple(measured.tolist()), changes, drifts, creep)


def analyze_workloads(
    columns: Mapping[str, FloatArray],
    settings: TrendSettings | None = None,
    on_workload: Callable[[int, int], None] = lambda done, total: None,
) -> Sequence[Trend]:
    """The trends of all workloads that were ever timed; `on_workload` receives the progress."""
    trends = []
    for number, (workload, seconds) in enumerate(columns.items()):
        on_workload(number, len(columns))
        trend = analyze_workload(workload, seconds, settings)
        if trend is not None:
            trends.append(trend)
    return trends


def _event_end(event: LevelChange | Drift) -> int:
    return event.index if isinstance(event, LevelChange) else event.last
