"""The times of runs as tables: one row for each run, one column for each workload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import median
from typing import Protocol

import numpy as np

from perfsuite.judge.arrays import FloatArray
from perfsuite.judge.time_comparison import RunTimes


class HistoricalRun(Protocol):
    """A run of which only the time of each workload is used."""

    @property
    def commit(self) -> str: ...
    @property
    def dirty(self) -> bool: ...
    @property
    def created_at(self) -> str: ...
    @property
    def seconds_per_item(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class _RunRow:
    """One run: its moment, its code, and the log time of each workload."""

    moment: str
    code: str
    log_times: Mapping[str, float]


def build_run_tables(
    workloads: Sequence[str],
    old: Sequence[HistoricalRun],
    new: Sequence[HistoricalRun],
    history: Iterable[HistoricalRun],
    renames: Mapping[str, str],
) -> list[RunTimes]:
    """One table for all workloads that the same runs have measured; most comparisons have a single one."""
    rows_old, rows_new = _rows(old, renames), _rows(new, {})
    past = sorted(_rows(history, renames), key=lambda row: row.moment)
    groups: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for name in workloads:
        measured = tuple(
            tuple(index for index, row in enumerate(rows) if name in row.log_times)
            for rows in (rows_old, rows_new)
        )
        groups.setdefault(measured, []).append(name)
    return [
        _table(names, [rows_old[i] for i in indices_old], [rows_new[i] for i in indices_new], past)
        for (indices_old, indices_new), names in groups.items()
    ]


def log_time_table(runs: Sequence[HistoricalRun]) -> tuple[tuple[str, ...], FloatArray]:
    """The workloads that every run has timed, and their log times by run."""
    rows = _rows(runs, {})
    names = tuple(name for name in rows[0].log_times if all(name in row.log_times for row in rows))
    return names, _values(rows, names)


def _rows(runs: Iterable[HistoricalRun], renames: Mapping[str, str]) -> list[_RunRow]:
    """The rows of runs. A dirty tree is a code of its own."""
    return [
        _RunRow(
            moment=run.created_at,
            code=run.commit if run.commit and not run.dirty else f"unknown {number}",
            log_times={
                renames.get(name, name): log(seconds)
                for name, seconds in run.seconds_per_item.items()
                if seconds > 0
            },
        )
        for number, run in enumerate(runs)
    ]


def _table(
    names: Sequence[str], old: Sequence[_RunRow], new: Sequence[_RunRow], past: Sequence[_RunRow]
) -> RunTimes:
    return RunTimes(
        workloads=tuple(names),
        old=_values(old, names),
        new=_values(new, names),
        moments_old=tuple(row.moment for row in old),
        moments_new=tuple(row.moment for row in new),
        commit_levels=_levels(names, old, new, past),
    )


def _values(rows: Sequence[_RunRow], names: Sequence[str]) -> FloatArray:
    return np.array([[row.log_times[name] for name in names] for row in rows])


def _levels(
    names: Sequence[str], old: Sequence[_RunRow], new: Sequence[_RunRow], past: Sequence[_RunRow]
) -> FloatArray:
    """The level of each commit of the history, oldest first, then of old and of new.

    A level is the median of as many runs as past commits have, but no more than the shorter side: levels of
    more runs would be steadier, and the newest change would look large beside them. Of old these are the last
    runs and of new the first, as close in time as commits of the past: further apart, the machine drifts for
    longer (40 % of false alarms for a random walk, 5 runs against 5).
    """
    by_code: dict[str, list[_RunRow]] = {}
    for row in past:
        if all(name in row.log_times for name in names):
            by_code.setdefault(row.code, []).append(row)
    usual = int(median(map(len, by_code.values()))) if by_code else 1
    runs = min(len(old), len(new), usual)
    last = [rows[-runs:] for rows in (*by_code.values(), sorted(old, key=_moment))]
    first = sorted(new, key=_moment)[:runs]
    return np.array(
        [[median(row.log_times[name] for row in rows) for name in names] for rows in (*last, first)]
    )


def _moment(row: _RunRow) -> str:
    return row.moment
