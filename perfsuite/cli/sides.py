"""What a run is called on the command line, and which other runs tell how much runs differ."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from perfsuite.errors import NothingMeasuredError, StoreError
from perfsuite.store.baselines import Baseline, Baselines
from perfsuite.store.runs import RunStore
from perfsuite.store.schema import Run
from perfsuite.store.summaries import Summary

_QUIET_SECONDS = 2.0


def both(
    old: str, new: str, store: str, baselines: str
) -> tuple[Sequence[Run], Sequence[Run], Sequence[Run]]:
    """The runs of A and of B, and what a baseline knows besides."""
    if _is_baseline(new):
        raise StoreError(f"{new}: a baseline can only be A, the side that B is judged against")
    runs = RunStore(store).select(new)
    found = _baseline(old, runs[-1], baselines) if _is_baseline(old) else None
    before = found.runs if found else RunStore(store).select(old)
    if {_identity(run) for run in before} & {_identity(run) for run in runs}:
        raise NothingMeasuredError(
            f"{old} and {new} share runs, expected different ones; nothing was compared"
        )
    return before, runs, found.past if found else ()


def _is_baseline(reference: str) -> bool:
    return reference.partition(":")[0] == "baseline" and "://" not in reference


def _baseline(reference: str, run: Run, root: str) -> Baseline:
    name = reference.partition(":")[2] or None
    found = Baselines(root).find(run.environment, name)
    if found is None:
        called = f" called {name}" if name else ""
        raise StoreError(
            f"{root}: holds no baseline{called} for environment {run.fingerprint}; "
            "accept one with: perfsuite baseline accept NAME"
        )
    return found


def history(store: str, sides: Sequence[Run]) -> list[Summary]:
    """The other complete runs of the newest run's environment; tells of damaged ones, and of waiting."""
    taken = {_identity(run) for run in sides}
    seen = RunStore(store).history(sides[-1].fingerprint, tell=_tell) if _is_there(store) else iter(())
    return [each for each in _with_progress(seen) if _identity(each) not in taken]


def told(side: str, runs: Sequence[Run]) -> str:
    """One line that says which runs these are."""
    newest = runs[-1]
    commit = f"{newest.commit[:12] or 'an unknown commit'}{' with uncommitted changes' * newest.dirty}"
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    incomplete = sum(not run.complete for run in runs)
    note = f"; {incomplete} incomplete" if incomplete else ""
    return f"{side}: {newest.name}, {count} of {commit}, newest {newest.created_at[:16]}{note}"


def _identity(run: Run | Summary) -> tuple[str, str, str]:
    return run.created_at, run.commit, run.name


def _is_there(store: str) -> bool:
    return "://" in store or Path(store).is_dir()


def _tell(damage: str) -> None:
    print(f"left out of the history: {damage}", file=sys.stderr)


def _with_progress(seen: Iterator[Summary]) -> Iterator[Summary]:
    said = time.monotonic()
    for count, each in enumerate(seen, 1):
        if time.monotonic() - said > _QUIET_SECONDS:
            said = time.monotonic()
            print(f"reading the history: {count} runs so far", file=sys.stderr)
        yield each
