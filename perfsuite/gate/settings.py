"""Settings of one gate, checked; project_settings.py reads those of pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from perfsuite.errors import UsageError
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.judge.gate_shard import Shard
from perfsuite.judge.sequential_rule import (
    DEFAULT_MAX_PAIRS,
    DEFAULT_MDE,
    DEFAULT_TOLERANCE,
    SequentialRule,
)
from perfsuite.judge.units import Range

Harness = Literal["head", "base", "own"]
Rules = Literal["base", "head"]
MIN_ALPHA = 1e-9  # exclusive; thirty pairs and more would be needed
MAX_PAIRS = 200  # a gate of hours; each look tests them all
RANGES = {
    "alpha": Range(MIN_ALPHA, 1),
    "tolerance": Range(0, 1, with_low=True),
    "mde": Range(0, 10),
    "max-pairs": Range(1, MAX_PAIRS + 1, with_low=True, whole=True),
}
TIME = Range(0)  # of the time budget and of the hang timeout, in seconds


@dataclass(frozen=True, slots=True)
class Exemption:
    """A test with a tolerance of its own or in quarantine, why, and until when."""

    test: str  # may end in `*`
    reason: str
    expires: date
    tolerance: float | None = None

    def matches(self, name: str) -> bool:
        return name.startswith(self.test[:-1]) if self.test.endswith("*") else name == self.test


@dataclass(frozen=True, slots=True)
class GateSettings:
    """One gate's settings.

    >>> GateSettings(base="main").harness
    'head'
    """

    base: str
    head: str | None = None  # None: the working tree as it is
    alpha: float = 0.01  # chance of any false alarm in the whole gate
    tolerance: float = DEFAULT_TOLERANCE  # ignore slowdowns up to this fraction
    mde: float = DEFAULT_MDE  # unclear where a slowdown of this fraction could go unnoticed
    max_pairs: int = DEFAULT_MAX_PAIRS
    time_budget_seconds: float = 600.0
    harness: Harness = "head"  # whose benchmarks run on both sides
    rules: Rules = "base"  # whose settings and tolerance markers judge
    notes: tuple[str, ...] = ()  # on the rules, for the report
    null: bool = False  # both sides may be the same
    time_everything: bool = False  # also what is proven to run the same code
    prepare: tuple[str, ...] = ()  # commands to run in each side
    share: tuple[str, ...] = ()  # ignored files that both sides need
    python: str | None = None  # None: the project's environment, see project_interpreter
    pytest_args: tuple[str, ...] = ()
    schedule: TurnSchedule = field(default_factory=TurnSchedule)
    quarantine: tuple[Exemption, ...] = ()
    tolerances: tuple[Exemption, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)  # base's node id -> head's
    seed: int | None = None
    null_workloads: int = 3  # how many also run base against base
    shard: Shard | None = None  # the part of the benchmarks that this gate runs

    def __post_init__(self) -> None:
        for name, expected in RANGES.items():
            expected.check(name, getattr(self, name.replace("-", "_")))
        for entry in self.tolerances:
            RANGES["tolerance"].check(f"tolerance of {entry.test}", entry.tolerance)
        TIME.check("time-budget", self.time_budget_seconds)
        TIME.check("hang-timeout", self.schedule.hang_timeout_seconds)
        Range(0, with_low=True, whole=True).check("null-workloads", self.null_workloads)
        if self.seed is not None:
            Range(whole=True).check("seed", self.seed)
        if self.mde <= self.tolerance:
            raise UsageError(
                f"mde: {self.mde:g}, expected more than the tolerance of {self.tolerance:g}; "
                "nothing could be kept"
            )
        fewest = SequentialRule(1, self.own_alpha).min_pairs
        if self.max_pairs < fewest:
            raise UsageError(
                f"max-pairs: {self.max_pairs}, expected at least {fewest} (more with many benchmarks) to "
                f"report a slowdown with a chance of error of {self.own_alpha:g}"
            )

    @property
    def own_alpha(self) -> float:
        """The chance of a false alarm that this gate may use itself; other shards have the rest."""
        return self.alpha if self.shard is None else self.shard.alpha(self.alpha)

    @property
    def shared_by_shards(self) -> dict[str, str]:
        """What all shards of one gate must agree on, besides the numbers that a report has anyway."""
        return {
            "harness": self.harness,
            "rules": self.rules,
            "null": str(self.null),
            "time-everything": str(self.time_everything),
            "prepare": "; ".join(self.prepare),
            "share": "; ".join(self.share),
            "pytest": " ".join(self.pytest_args),
            "quarantine": "; ".join(f"{each.test} until {each.expires}" for each in self.quarantine),
            "tolerances": "; ".join(f"{each.test} {each.tolerance:g}" for each in self.tolerances),
            "renames": "; ".join(f"{old} = {new}" for old, new in self.renames.items()),
        }

    def tolerance_for(self, name: str, marked: float | None = None) -> float:
        """A workload's tolerance: the project's entry for it, else its test's marker, else the default."""
        for entry in self.tolerances:
            if entry.tolerance is not None and entry.matches(name):
                return entry.tolerance
        return self.tolerance if marked is None else marked

    def quarantine_for(self, name: str) -> Exemption | None:
        return next((entry for entry in self.quarantine if entry.matches(name)), None)
