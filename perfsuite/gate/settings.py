"""Settings of one gate: options of the command line, over `[tool.perfsuite.gate]` in pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from perfsuite.errors import UsageError
from perfsuite.gate.project_layout import read_toml
from perfsuite.gate.schedule import TurnSchedule
from perfsuite.judge.sequential_rule import SequentialRule
from perfsuite.judge.units import Range

Harness = Literal["head", "base", "own"]
RANGES = {
    "alpha": Range(0, 1),
    "tolerance": Range(0, 1, with_low=True),
    "mde": Range(0, 10),
    "max-pairs": Range(1, with_low=True, whole=True),
}
TIME = Range(0)  # of the time budget and of the hang timeout, in seconds
KNOWN_KEYS = set(RANGES) | {"quarantine", "tolerances", "renames", "share"}


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
    tolerance: float = 0.01  # ignore slowdowns up to this fraction
    mde: float = 0.05  # unclear where a slowdown of this fraction could go unnoticed
    max_pairs: int = 24
    time_budget_seconds: float = 600.0
    harness: Harness = "head"  # whose benchmarks run on both sides
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
        fewest = SequentialRule(1, self.alpha).min_pairs
        if self.max_pairs < fewest:
            raise UsageError(
                f"max-pairs: {self.max_pairs}, expected at least {fewest} (more with many benchmarks) to "
                f"report a slowdown with a chance of error of {self.alpha:g}"
            )

    def tolerance_for(self, name: str, marked: float | None = None) -> float:
        """A workload's tolerance: the project's entry for it, else its test's marker, else the default."""
        for entry in self.tolerances:
            if entry.tolerance is not None and entry.matches(name):
                return entry.tolerance
        return self.tolerance if marked is None else marked

    def quarantine_for(self, name: str) -> Exemption | None:
        return next((entry for entry in self.quarantine if entry.matches(name)), None)


def read_project_settings(root: Path, today: date) -> dict[str, Any]:
    """The project's own settings, as arguments of `GateSettings`. An expired entry is an error."""
    path = root / "pyproject.toml"
    table = read_toml(path).get("tool", {}).get("perfsuite", {}).get("gate", {})
    unknown = sorted(set(table) - KNOWN_KEYS)
    if unknown:
        raise UsageError(
            f"{path}: [tool.perfsuite.gate] has {unknown[0]!r}, expected one of {sorted(KNOWN_KEYS)}"
        )
    arguments: dict[str, Any] = {}
    for name in set(RANGES) & set(table):
        RANGES[name].check(f"{path}: [tool.perfsuite.gate] {name}", table[name])
        arguments[name.replace("-", "_")] = table[name]
    arguments["quarantine"] = _read_exemptions(path, "quarantine", table.get("quarantine", []), today)
    arguments["tolerances"] = _read_exemptions(path, "tolerances", table.get("tolerances", []), today)
    arguments["renames"] = dict(table.get("renames", {}))
    arguments["share"] = tuple(table.get("share", ()))
    return arguments


def _read_exemptions(path: Path, kind: str, entries: Sequence[Any], today: date) -> tuple[Exemption, ...]:
    keys = {"test", "reason", "expires"} | ({"tolerance"} if kind == "tolerances" else set())
    who = f"{path}: [[tool.perfsuite.gate.{kind}]]"
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != keys:
            raise UsageError(f"{who} {entry!r}, expected exactly {sorted(keys)}")
        _check_exemption(f"{who} {entry['test']}", entry, today)
    return tuple(Exemption(**entry) for entry in entries)


def _check_exemption(who: str, entry: Mapping[str, Any], today: date) -> None:
    expires = entry["expires"]
    is_date = isinstance(expires, date) and not isinstance(expires, datetime)
    if not str(entry["reason"]).strip() or not is_date:
        raise UsageError(f"{who}: needs a reason, and expires as a date (2030-01-31)")
    if expires < today:
        raise UsageError(
            f"{who}: expired on {expires} ({entry['reason']}); "
            "fix the cause and remove the entry, or renew it deliberately"
        )
    if "tolerance" in entry:
        RANGES["tolerance"].check(f"{who}: tolerance", entry["tolerance"])
