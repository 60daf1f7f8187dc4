"""The history of each environment: a table of times by commit and workload, read from summaries of runs.

Summaries are read one after the other and kept as rows of numbers, so that 10,000 runs of 200 workloads need
tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.store.summaries import RunSummary


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """A commit that was measured, by one run or several."""

    commit: str  # empty where the run does not know it
    created_at: str  # of its first run
    references: tuple[str, ...]  # the stored names of its runs

    @property
    def label(self) -> str:
        """The short hash, or the stored name of the run."""
        return self.commit[:9] or self.references[0]


@dataclass(frozen=True, slots=True)
class EnvironmentHistory:
    """The times of one environment: a row for each commit, oldest first; NaN where it was not measured."""

    fingerprint: str
    commits: tuple[HistoryCommit, ...]
    workloads: tuple[str, ...]
    seconds_per_item: FloatArray
    dirty_runs: int = 0  # left out: nobody can look up what they measured

    @property
    def runs(self) -> int:
        return sum(len(commit.references) for commit in self.commits)

    @property
    def newest_reference(self) -> str:
        return self.commits[-1].references[-1]

    def newest(self, commits: int) -> EnvironmentHistory:
        """The history of the newest commits."""
        return EnvironmentHistory(
            self.fingerprint,
            self.commits[-commits:],
            self.workloads,
            self.seconds_per_item[-commits:],
            self.dirty_runs,
        )

    def columns(self, workloads: Iterable[str]) -> dict[str, FloatArray]:
        """The times of some workloads, one per commit."""
        index = {name: number for number, name in enumerate(self.workloads)}
        return {name: self.seconds_per_item[:, index[name]] for name in workloads}


def collect_histories(summaries: Iterable[RunSummary]) -> list[EnvironmentHistory]:
    """The history of each environment; the one with the newest run comes last.

    Runs of one commit are one row: their median. Runs without a commit are a row each.
    """
    tables: dict[str, _Table] = {}
    for summary in summaries:
        table = tables.pop(summary.fingerprint, None) or _Table(summary.fingerprint)
        tables[summary.fingerprint] = table  # moved to the end
        table.add(summary)
    return [table.build() for table in tables.values() if table.rows]


@dataclass(slots=True)
class _Table:
    fingerprint: str
    columns: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, tuple[str, str, list[str]]] = field(default_factory=dict)
    rows: dict[str, list[FloatArray]] = field(default_factory=dict)
    dirty_runs: int = 0

    def add(self, summary: RunSummary) -> None:
        if summary.dirty:
            self.dirty_runs += 1
            return
        key = summary.commit or summary.reference
        _, _, references = self.summaries.setdefault(key, (summary.commit, summary.created_at, []))
        references.append(summary.reference)
        self.rows.setdefault(key, []).append(self._row(summary.seconds_per_item))

    def build(self) -> EnvironmentHistory:
        names = sorted(self.columns)
        order = [self.columns[name] for name in names]
        seconds = np.full((len(self.rows), len(names)), np.nan)
        for position, rows in enumerate(self.rows.values()):
            seconds[position] = _median_of_rows(rows, len(names))[order]
        commits = tuple(
            HistoryCommit(commit, created_at, tuple(references))
            for commit, created_at, references in self.summaries.values()
        )
        return EnvironmentHistory(self.fingerprint, commits, tuple(names), seconds, self.dirty_runs)

    def _row(self, times: Mapping[str, float]) -> FloatArray:
        positions = [self.columns.setdefault(name, len(self.columns)) for name in times]
        row = np.full(len(self.columns), np.nan)
        row[positions] = list(times.values())
        return row


def _median_of_rows(rows: list[FloatArray], width: int) -> FloatArray:
    """The median of each column without its gaps; rows may be shorter, where workloads came later."""
    padded = np.full((len(rows), width), np.nan)
    for position, row in enumerate(rows):
        padded[position, : len(row)] = row
    if len(rows) == 1:
        return np.asarray(padded[0])
    padded.sort(axis=0)  # NaN comes last
    count = np.isfinite(padded).sum(axis=0)
    column = np.arange(width)
    low, high = padded[np.maximum(count - 1, 0) // 2, column], padded[count // 2 * (count > 0), column]
    high = np.where(count % 2 == 1, low, high)
    return np.asarray((low + high) / 2)
