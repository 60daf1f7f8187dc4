"""What a run is called on the command line, and which other runs tell how much runs differ."""

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
    """The runs of A and of B, and what a baseline knows besides."""
    if _is_baseline(new):
        raise StoreError(f"{new}: a baseline can only be A, the side that B is judged against")
    runs = store.select(new)
    found = _find_baseline(old, runs[-1], baselines) if _is_baseline(old) else None
    before = found.runs if found else store.select(old)
    if {_identity(run) for run in before} & {_identity(run) for run in runs}:
        raise NothingMeasuredError(
            f"{old} and {new} share runs, expected different ones; nothing was compared"
        )
    return before, runs, found.earlier_runs if found else ()


def _is_baseline(reference: str) -> bool:
    return reference.partition(":")[0] == "baseline" and "://" not in reference


def _find_baseline(reference: str, run: Run, root: str) -> Baseline:
    name = reference.partition(":")[2] or None
    found = BaselineStore(root).find(run.environment, name)
    if found is None:
        called = f" called {name}" if name else ""
        raise StoreError(
            f"{root}: holds no baseline{called} for environment {run.fingerprint}; "
            "accept one with: perfsuite baseline accept NAME"
        )
    return found


def history(store: RunStore, sides: Sequence[Run]) -> list[RunSummary]:
    """The other complete runs of the newest run's environment."""
    taken = {_identity(run) for run in sides}
    return [each for each in store.history(sides[-1].fingerprint) if _identity(each) not in taken]


def describe_runs(side: str, runs: Sequence[Run]) -> str:
    """One line that says which runs these are."""
    newest = runs[-1]
    commit = f"{newest.commit[:12] or 'an unknown commit'}{' with uncommitted changes' * newest.dirty}"
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    incomplete = sum(not run.complete for run in runs)
    note = f"; {incomplete} incomplete" if incomplete else ""
    return f"{side}: {newest.name}, {count} of {commit}, newest {newest.created_at[:16]}{note}"


def _identity(run: Run | RunSummary) -> tuple[str, str, str]:
    return run.created_at, run.commit, run.name


def open_store(root: str) -> RunStore:
    """A store that tells on stderr what it leaves out, and what takes long."""
    return RunStore(root, tell=lambda what: print(what, file=sys.stderr))
