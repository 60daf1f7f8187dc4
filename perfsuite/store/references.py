"""References to runs: names, paths and URLs of stored runs, and `baseline[:NAME]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.errors import NothingMeasuredError, StoreError, redact_url
from perfsuite.filesystems import is_url
from perfsuite.measure.measurement import Environment
from perfsuite.store.baselines import BaselineStore
from perfsuite.store.run import Run, run_identity, without_copies
from perfsuite.store.runs import RunStore
from perfsuite.store.summaries import RunSummary


@dataclass(frozen=True, slots=True)
class ReferenceRuns:
    """The runs that a reference names, and the earlier runs that a baseline keeps."""

    label: str
    runs: tuple[Run, ...]
    earlier_runs: tuple[Run, ...] = ()

    def history(self, store: RunStore, other_side: Sequence[Run] = ()) -> list[Run | RunSummary]:
        """All other runs of the environment, each once: the earlier runs, then those of the store."""
        sides = (*self.runs, *other_side)
        earlier = without_copies(self.earlier_runs, of=sides)
        stored = store.history(self.runs[-1].fingerprint)
        return [*earlier, *without_copies(stored, of=(*sides, *self.earlier_runs))]


def is_baseline(reference: str) -> bool:
    """Whether a reference names an accepted baseline.

    >>> is_baseline("baseline"), is_baseline("baseline:nightly"), is_baseline("main")
    (True, True, False)
    """
    return reference.partition(":")[0] == "baseline" and not is_url(reference)


def resolve(
    reference: str, environment: Environment, store: RunStore, baselines: BaselineStore
) -> ReferenceRuns:
    """The runs that a reference names; StoreError if there are none. A baseline is that of `environment`."""
    if not is_baseline(reference):
        return ReferenceRuns(redact_url(reference), store.select(reference))
    name = reference.partition(":")[2] or None
    found = find_baseline(environment, baselines, name)
    if found is None:
        called = f" called {name}" if name else ""
        raise StoreError(
            f"{baselines.root}: no baseline{called} for environment {environment.fingerprint}, expected one; "
            f"accept one with: perfsuite baseline accept {name or 'NAME'}"
        )
    return found


def find_baseline(
    environment: Environment, baselines: BaselineStore, name: str | None = None, is_timed: bool | None = None
) -> ReferenceRuns | None:
    """The baseline of an environment, or None; with `is_timed`, one that was timed, or one that was not."""
    baseline = baselines.find(environment, name, is_timed)
    if baseline is None:
        return None
    return ReferenceRuns(f"baseline {baseline.name}", baseline.runs, baseline.earlier_runs)


def find_counters(environment: Environment, baselines: BaselineStore) -> ReferenceRuns | None:
    """The baseline whose counters can be compared with those of this machine, be it another's, or None."""
    baseline = baselines.find_counters(environment)
    if baseline is None:
        return None
    machine = f"{baseline.environment.hard.get('cpu')}, {baseline.environment.hard.get('cores')} cores"
    return ReferenceRuns(f"baseline {baseline.name} of {machine}: counters, not times", baseline.runs)


def resolve_sides(
    old: str, new: str, store: RunStore, baselines: BaselineStore
) -> tuple[ReferenceRuns, ReferenceRuns]:
    """The runs of both sides of a comparison, which must not overlap."""
    if is_baseline(new):
        raise StoreError(f"{new}: a baseline can only be A, the side that B is judged against")
    new_side = ReferenceRuns(redact_url(new), store.select(new))
    old_side = resolve(old, new_side.runs[-1].environment, store, baselines)
    if set(map(run_identity, old_side.runs)) & set(map(run_identity, new_side.runs)):
        raise NothingMeasuredError(
            f"{old} and {new} share runs, expected different ones; nothing was compared"
        )
    return old_side, new_side
