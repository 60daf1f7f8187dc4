"""Resolve what the command line calls a run, and collect the history that shows how much runs differ."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from perfsuite.errors import NothingMeasuredError, StoreError
from perfsuite.store.baselines import Baseline, BaselineStore
from perfsuite.store.runs import RunStore
from perfsuite.store.schema import Run
from perfsuite.store.summaries import RunSummary


def resolve_sides(
    old: str, new: str, store: RunStore, baselines: str
) -> tuple[Sequence[Run], Sequence[Run], Sequence[Run]]:
    """The runs of A, the runs of B, and the earlier runs of a baseline."""
    if _is_baseline(new):
        raise StoreError(f"{new}: a baseline can only be A, the side that B is judged against")
    runs = store.select(new)
    baseline = _find_baseline(old, runs[-1], baselines) if _is_baseline(old) else None
    before = baseline.runs if baseline else store.select(old)
    if {_identity(run) for run in before} & {_identity(run) for run in runs}:
        raise NothingMeasuredError(
            f"{old} and {new} share runs, expected different ones; nothing was compared"
        )
    return before, runs, baseline.earlier_runs if baseline else ()


def _is_baseline(reference: str) -> bool:
    return reference.partition(":")[0] == "baseline" and "://" not in reference


def _find_baseline(reference: str, run: Run, root: str) -> Baseline:
    name = reference.partition(":")[2] or None
    baseline = BaselineStore(root).find(run.environment, name)
    if baseline is None:
        named = f" named {name}" if name else ""
        raise StoreError(
            f"{root}: no baseline{named} for environment {run.fingerprint}, expected one; "
            "accept one with: perfsuite baseline accept NAME"
        )
    return baseline


def history(store: RunStore, sides: Sequence[Run]) -> list[RunSummary]:
    """The other complete runs of the newest run's environment."""
    compared = {_identity(run) for run in sides}
    return [run for run in store.history(sides[-1].fingerprint) if _identity(run) not in compared]


def describe_runs(side: str, runs: Sequence[Run]) -> str:
    """One line that identifies the runs of a side."""
    newest = runs[-1]
    commit = f"{newest.commit[:12] or 'an unknown commit'}{' with uncommitted changes' * newest.dirty}"
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    incomplete = sum(not run.complete for run in runs)
    note = f"; {incomplete} incomplete" if incomplete else ""
    return f"{side}: {newest.name}, {count} of {commit}, newest {newest.created_at[:16]}{note}"


def _identity(run: Run | RunSummary) -> tuple[str, str, str]:
    return run.created_at, run.commit, run.name


def open_store(root: str) -> RunStore:
    """A store that reports on stderr what it skips, and what takes long."""
    return RunStore(root, tell=lambda message: print(message, file=sys.stderr))
