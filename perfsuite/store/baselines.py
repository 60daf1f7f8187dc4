"""Accepted measurements, one folder an environment: what later runs are held against."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perfsuite.errors import StoreError, UsageError
from perfsuite.judge.stored_runs import ComparisonSettings, HistoricalRun, compare_runs
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.measure.measurement import Environment
from perfsuite.store import DEFAULT_BASELINES, locations, schema
from perfsuite.store.schema import Run

MAX_RUNS = 40  # kept in a baseline: enough to know the spread, little enough for git


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted runs of one environment, oldest first; those before the newest commit tell the spread."""

    name: str
    runs: tuple[Run, ...]  # fresh processes of the newest commit
    earlier_runs: tuple[Run, ...]
    source: str

    @property
    def environment(self) -> Environment:
        return self.runs[-1].environment


class BaselineStore:
    """Baselines under `<fingerprint>/<name>.json`; `accept` is the only way in."""

    def __init__(self, root: str | Path = DEFAULT_BASELINES) -> None:
        self.root = str(root)
        self._place = locations.open_location(root)

    def list(self) -> builtins.list[str]:
        """Every baseline, as `<fingerprint>/<name>`."""
        return [
            f"{folder}/{file.removesuffix('.json')}"
            for folder in self._place.folders()
            for file in sorted(self._place.stamps(folder))
        ]

    def load(self, reference: str) -> Baseline:
        """A baseline by `<fingerprint>/<name>`."""
        source = f"{self.root}/{reference}.json"
        found = schema.parse_all(self._place.read(f"{reference}.json"), source)
        if found[0].fingerprint != reference.partition("/")[0]:
            raise StoreError(
                f"{source}: of environment {found[0].fingerprint}, in the folder of another; was it moved?"
            )
        code = _code_version(found[0])
        runs = tuple(run for run in found if _code_version(run) == code)[::-1]
        past = tuple(run for run in found if _code_version(run) != code)[::-1]
        return Baseline(reference.split("/")[-1], runs, past, source)

    def find(self, environment: Environment, name: str | None = None) -> Baseline | None:
        """The baseline of an environment: the one called `name`, or the newest; None where there is none."""
        here = [each for each in self.list() if each.startswith(f"{environment.fingerprint}/")]
        if name is not None:
            here = [each for each in here if each.endswith(f"/{name}")]
        return max(map(self.load, here), key=lambda found: found.runs[-1].created_at, default=None)

    def accept(
        self,
        runs: Sequence[Run],
        name: str | None = None,
        history: Iterable[HistoricalRun] = (),
        settings: ComparisonSettings | None = None,
        allow_dirty: bool = False,
        dropped: frozenset[str] = frozenset(),
    ) -> str:
        """Make runs (oldest first, one commit, one environment) the baseline; returns its reference.

        Refuses runs that are incomplete, dirty or not kept against the baseline that is there. Runs of the
        commit that is there already are added to it: they tell how much runs differ.
        """
        newest = runs[-1]
        name = schema.validate_name(name or newest.name)
        _require_acceptable(runs, allow_dirty)
        before = self.find(newest.environment, name)
        if before is not None:
            if {_run_identity(run) for run in runs} <= {_run_identity(run) for run in before.runs}:
                raise UsageError(f"{before.source}: has accepted these runs already; nothing was changed")
            same_code = _code_version(before.runs[-1]) == _code_version(newest)
            self._require_kept(before, runs, history, settings, dropped, same_code)
        kept = [*(before.earlier_runs if before else ()), *(before.runs if before else ()), *runs]
        unique = list({_run_identity(run): run for run in kept}.values())[-MAX_RUNS:]
        told = (
            schema.pytest_benchmark_part(locations.read(newest.source), newest.source)
            if newest.source
            else {}
        )
        data = schema.dump(unique[-1], told, replicates=unique[-2::-1])
        reference = f"{newest.fingerprint}/{name}"
        self._place.replace(f"{reference}.json", data)
        return reference

    def prune(
        self, references: Iterable[str] = (), older_than_days: float | None = None, dry_run: bool = False
    ) -> builtins.list[str]:
        """Remove baselines by reference, or those whose newest run is older; returns what went."""
        known = self.list()
        going = list(references)
        for unknown in set(going) - set(known):
            raise StoreError(
                f"{self.root}: holds no baseline {unknown!r}; it holds {', '.join(known) or 'none'}"
            )
        if older_than_days is not None:
            oldest = datetime.now(UTC) - timedelta(days=older_than_days)
            going += [each for each in known if _creation_time(self.load(each).runs[-1]) < oldest]
        going = sorted(set(going))
        for reference in going if not dry_run else ():
            self._place.remove(f"{reference}.json")
        return going

    def _require_kept(
        self,
        before: Baseline,
        runs: Sequence[Run],
        history: Iterable[HistoricalRun],
        settings: ComparisonSettings | None,
        dropped: frozenset[str],
        same_code: bool,
    ) -> None:
        found = compare_runs(before.runs, runs, [*history, *before.earlier_runs], settings)
        # Of the same commit more runs are wanted exactly while it is unclear how much they differ.
        harmless = {Outcome.UNCLEAR} if same_code else set()
        wrong = [
            each
            for each in found.verdicts
            if not each.is_green and each.outcome not in harmless and each.workload not in dropped
        ]
        if wrong:
            raise StoreError(_refusal(before, wrong))


def _refusal(before: Baseline, wrong: Sequence[Verdict]) -> str:
    shown = "; ".join(f"{each.workload} {each.metric} {each.outcome} ({each.reason})" for each in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return (
        f"{before.source}: not kept, so not accepted: {shown}{more}. Where that is meant, remove the old "
        "baseline first (perfsuite baseline prune), in a commit that says why"
    )


def _require_acceptable(runs: Sequence[Run], allow_dirty: bool) -> None:
    for run in runs:
        who = run.source or run.name
        if not run.complete:
            raise StoreError(f"{who}: incomplete (it was interrupted), expected a whole run; take it again")
        if run.dirty and not allow_dirty:
            raise StoreError(
                f"{who}: measured with uncommitted changes, expected a clean tree; commit and measure again, "
                "or say --allow-dirty"
            )
        if not run.measurements:
            raise StoreError(f"{who}: measured nothing, expected at least one workload")
        if run.fingerprint != runs[-1].fingerprint:
            apart = run.environment.hard_differences(runs[-1].environment)
            raise StoreError(f"{who}: of another environment than the newest run ({', '.join(apart)} differ)")
        if _code_version(run) != _code_version(runs[-1]):
            raise StoreError(
                f"{who}: of commit {run.commit}, the newest run of {runs[-1].commit}; accept one commit"
            )


def _run_identity(run: Run) -> tuple[str, str, str]:
    return run.created_at, run.commit, run.name


def _code_version(run: Run) -> str:
    return f"{run.commit}{' dirty' if run.dirty else ''}"


def _creation_time(run: Run) -> datetime:
    try:
        when = datetime.fromisoformat(run.created_at)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)  # of unknown age: never old
    return when if when.tzinfo else when.replace(tzinfo=UTC)
