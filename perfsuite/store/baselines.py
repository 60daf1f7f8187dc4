"""Baselines: the accepted runs of each environment, to which later runs are compared."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perfsuite.errors import StoreError, UsageError
from perfsuite.judge.acceptance import refused_verdicts
from perfsuite.judge.stored_runs import COUNTER_ENVIRONMENT_KEYS, ComparisonSettings
from perfsuite.judge.verdict import Verdict
from perfsuite.measure.environment import LIBRARIES
from perfsuite.measure.measurement import Environment
from perfsuite.store import DEFAULT_BASELINES, locations, schema
from perfsuite.store.run import Run, run_identity, without_copies
from perfsuite.store.summaries import RunSummary

MIN_COUNTED_RUNS = 3  # with fewer, a counter that varies may pass for one that is exact
MAX_RUNS = 40  # in a baseline: enough to estimate the spread, small enough for git
# What must agree where a baseline's counters judge another machine without a word from the user. `images` is
# there where the images are the user's own.
_COUNTER_KEYS = (*COUNTER_ENVIRONMENT_KEYS, "os", "images")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted runs of one environment, oldest first. Earlier commits serve to estimate the spread."""

    name: str
    runs: tuple[Run, ...]  # fresh processes of the newest commit
    earlier_runs: tuple[Run, ...]
    source: str

    @property
    def environment(self) -> Environment:
        return self.runs[-1].environment

    @property
    def is_timed(self) -> bool:
        """Whether it has times, and not counters alone."""
        return _is_timed(self.runs[-1])


class BaselineStore:
    """Baselines in files `<fingerprint>/<name>.json`. Only `accept` adds to them."""

    def __init__(self, root: str | Path = DEFAULT_BASELINES) -> None:
        self.root = str(root)
        self._location = locations.open_location(root)

    def list(self) -> builtins.list[str]:
        """Every baseline, as `<fingerprint>/<name>`."""
        return [
            f"{folder}/{file.removesuffix('.json')}"
            for folder in self._location.folders()
            for file in sorted(self._location.stamps(folder))
        ]

    def load(self, reference: str) -> Baseline:
        """A baseline by `<fingerprint>/<name>`."""
        source = f"{self.root}/{reference}.json"
        stored = schema.parse_all(self._location.read(f"{reference}.json"), source)
        if stored[0].fingerprint != reference.partition("/")[0]:
            raise StoreError(
                f"{source}: of environment {stored[0].fingerprint}, in the folder of another; was it moved?"
            )
        code = _code_version(stored[0])
        return Baseline(
            name=reference.split("/")[-1],
            runs=tuple(run for run in stored if _code_version(run) == code)[::-1],
            earlier_runs=tuple(run for run in stored if _code_version(run) != code)[::-1],
            source=source,
        )

    def find(
        self, environment: Environment, name: str | None = None, is_timed: bool | None = None
    ) -> Baseline | None:
        """The baseline of an environment: the one called `name`, or the newest; None if there is none.

        Those that were timed come before those that were only counted; `is_timed` restricts it to one kind.
        """
        references = [each for each in self.list() if each.startswith(f"{environment.fingerprint}/")]
        if name is not None:
            references = [each for each in references if each.endswith(f"/{name}")]
        found = [each for each in map(self.load, references) if is_timed in (None, each.is_timed)]
        return max(found, key=lambda each: (each.is_timed, each.runs[-1].created_at), default=None)

    def find_counters(self, environment: Environment) -> Baseline | None:
        """The baseline whose counters hold here, of whatever machine; None if there is none.

        One that was only counted has the counters of pairs too, and is preferred; then the newest is.
        """
        comparable = [each for each in map(self.load, self.list()) if _is_comparable(each, environment)]
        return max(comparable, key=lambda each: (not each.is_timed, each.runs[-1].created_at), default=None)

    def accept(
        self,
        runs: Sequence[Run],
        name: str | None = None,
        history: Iterable[RunSummary] = (),
        settings: ComparisonSettings | None = None,
        allow_dirty: bool = False,
        dropped: frozenset[str] = frozenset(),
    ) -> str:
        """Make runs (oldest first, one commit, one environment) the baseline; return its reference.

        Refuses runs that are incomplete, dirty, partial, with a broken limit, or not kept against the
        current baseline; a new name is judged against the newest baseline of the environment. Runs of the
        baseline's own commit are added to it: they improve the estimate of the spread.
        """
        newest = runs[-1]
        name = schema.validate_name(name or newest.name)
        _require_acceptable(runs, allow_dirty)
        if not _is_timed(newest) and len(runs) < MIN_COUNTED_RUNS:
            raise StoreError(
                f"{newest.source or newest.name}: {len(runs)} counted runs, expected {MIN_COUNTED_RUNS} of "
                "one commit, to tell counters that vary; take them with --perf-repeat"
            )
        before = self.find(newest.environment, name)
        if before is not None:
            if before.is_timed != _is_timed(newest):
                raise StoreError(_other_kind(before))
            if {run_identity(run) for run in runs} <= {run_identity(run) for run in before.runs}:
                raise UsageError(f"{before.source}: has accepted these runs already; nothing was changed")
            same_code = _code_version(before.runs[-1]) == _code_version(newest)
            self._require_kept(before, runs, history, settings, dropped, same_code)
        elif other := (
            self.find(newest.environment, is_timed=_is_timed(newest)) or self.find(newest.environment)
        ):
            same_code = _code_version(other.runs[-1]) == _code_version(newest)
            self._require_kept(other, runs, history, settings, dropped, same_code)
        all_runs = [*(before.earlier_runs if before else ()), *(before.runs if before else ()), *runs]
        unique = list({run_identity(run): run for run in all_runs}.values())[-MAX_RUNS:]
        other_fields = (
            schema.pytest_benchmark_part(locations.read(newest.source), newest.source)
            if newest.source
            else {}
        )
        data = schema.dump(unique[-1], other_fields, replicates=unique[-2::-1])
        reference = f"{newest.fingerprint}/{name}"
        self._location.replace(f"{reference}.json", data)
        return reference

    def prune(
        self, references: Iterable[str] = (), older_than_days: float | None = None, dry_run: bool = False
    ) -> builtins.list[str]:
        """Remove baselines by reference, or those whose newest run is older; return their references."""
        known = self.list()
        removed = list(references)
        for unknown in set(removed) - set(known):
            raise StoreError(
                f"{self.root}: holds no baseline {unknown!r}; it holds {', '.join(known) or 'none'}"
            )
        if older_than_days is not None:
            oldest = datetime.now(UTC) - timedelta(days=older_than_days)
            removed += [each for each in known if _creation_time(self.load(each).runs[-1]) < oldest]
        removed = sorted(set(removed))
        for reference in removed if not dry_run else ():
            self._location.remove(f"{reference}.json")
        return removed

    def _require_kept(
        self,
        before: Baseline,
        runs: Sequence[Run],
        history: Iterable[RunSummary],
        settings: ComparisonSettings | None,
        dropped: frozenset[str],
        same_code: bool,
    ) -> None:
        sides = (*before.runs, *runs)
        earlier = without_copies(before.earlier_runs, of=sides)
        others = without_copies(history, of=(*sides, *before.earlier_runs))
        refused = refused_verdicts(before.runs, runs, [*earlier, *others], settings, dropped, same_code)
        if before.is_timed and not _is_timed(runs[-1]):
            refused = [each for each in refused if each.metric != "time"]
        if refused:
            raise StoreError(_refusal(before, refused))


def _is_comparable(baseline: Baseline, environment: Environment) -> bool:
    """Whether the code that both environments run is the same, as far as it decides counters."""
    facts = baseline.environment
    return not set(_COUNTER_KEYS) & set(facts.hard_differences(environment)) and not set(LIBRARIES) & set(
        facts.soft_differences(environment)
    )


def _is_timed(run: Run) -> bool:
    return any(each.seconds_per_call for each in run.measurements.values())


def _other_kind(before: Baseline) -> str:
    kinds = ("counted only", "timed")
    return (
        f"{before.source}: its runs are {kinds[before.is_timed]}, these are {kinds[not before.is_timed]}; "
        "accept them under another name (--name)"
    )


def _refusal(before: Baseline, refused: Sequence[Verdict]) -> str:
    listed = "; ".join(
        f"{each.workload} {each.metric} {each.outcome} ({each.explanation})" for each in refused[:3]
    )
    more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
    return (
        f"{before.source}: not kept, so not accepted: {listed}{more}. If the change is intended, remove the "
        "old baseline first (perfsuite baseline prune), in a commit that says why"
    )


def _require_acceptable(runs: Sequence[Run], allow_dirty: bool) -> None:
    for run in runs:
        who = run.source or run.name
        if not run.complete:
            raise StoreError(
                f"{who}: incomplete (it ended before its last test), expected a whole run; take it again"
            )
        if run.dirty and not allow_dirty:
            raise StoreError(
                f"{who}: measured with uncommitted changes, expected a clean tree; commit and measure again, "
                "or say --allow-dirty"
            )
        if run.selection:
            raise StoreError(
                f"{who}: a part of the suite ({run.selection}), expected all of it; "
                "measure without a selection"
            )
        if run.broken_limits:
            raise StoreError(
                f"{who}: a limit is broken ({', '.join(run.broken_limits[:3])}), expected every limit kept; "
                "mend it, or change the limit in a commit that says why"
            )
        if not run.measurements:
            raise StoreError(f"{who}: measured nothing, expected at least one workload")
        if run.fingerprint != runs[-1].fingerprint:
            differences = run.environment.hard_differences(runs[-1].environment)
            raise StoreError(
                f"{who}: of another environment than the newest run ({', '.join(differences)} differ)"
            )
        if _code_version(run) != _code_version(runs[-1]):
            raise StoreError(
                f"{who}: of commit {run.commit}, the newest run of {runs[-1].commit}; accept one commit"
            )


def _code_version(run: Run) -> str:
    return f"{run.commit}{' dirty' if run.dirty else ''}"


def _creation_time(run: Run) -> datetime:
    try:
        created = datetime.fromisoformat(run.created_at)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)  # an unknown age is never old
    return created if created.tzinfo else created.replace(tzinfo=UTC)
