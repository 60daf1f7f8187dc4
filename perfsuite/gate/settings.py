"""What a gate was asked to do: options of the command over `[tool.perfsuite.gate]` of pyproject.toml."""

from __future__ import annotations

import sys
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
TIME = Range(0)  # of the time budget and of patience, in seconds
KNOWN_KEYS = set(RANGES) | {"quarantine", "tolerances", "renames", "share"}


@dataclass(frozen=True, slots=True)
class Exemption:
    """A test that is judged otherwise, why, and until when. `test` may end in `*`."""

    test: str
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
    alpha: float = 0.01
    tolerance: float = 0.01
    mde: float = 0.05
    max_pairs: int = 24
    time_budget_seconds: float = 600.0
    harness: Harness = "head"
    null: bool = False
    prepare: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    python: str = sys.executable
    pytest_args: tuple[str, ...] = ()
    schedule: TurnSchedule = field(default_factory=TurnSchedule)
    quarantine: tuple[Exemption, ...] = ()
    tolerances: tuple[Exemption, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)  # base's name -> head's name
    seed: int | None = None
    null_workloads: int = 3  # workloads that also run base against base

    def __post_init__(self) -> None:
        for name, expected in RANGES.items():
            expected.check(name, getattr(self, name.replace("-", "_")))
        for entry in self.tolerances:
            RANGES["tolerance"].check(f"tolerance of {entry.test}", entry.tolerance)
        TIME.check("time-budget", self.time_budget_seconds)
        TIME.check("patience", self.schedule.hang_timeout_seconds)
        Range(0, with_low=True, whole=True).check("null-workloads", self.null_workloads)
        if self.seed is not None:
            Range(whole=True).check("seed", self.seed)
        if self.mde <= self.tolerance:
            raise UsageError(
                f"mde: {self.mde:g} is not beyond the tolerance of {self.tolerance:g}; nothing could be kept"
            )
        fewest = SequentialRule(1, self.alpha).min_pairs
        if self.max_pairs < fewest:
            raise UsageError(
                f"max-pairs: {self.max_pairs}, expected at least {fewest} (more with many benchmarks) to "
                f"tell a slowdown from luck with a chance of error of {self.alpha:g}"
            )

    def tolerance_for(self, name: str, marked: float | None = None) -> float:
        """The project's word on a test, then the test's own marker, then the usual."""
        told = [entry.tolerance for entry in self.tolerances if entry.matches(name)]
        usual = self.tolerance if marked is None else marked
        return next((value for value in told if value is not None), usual)

    def quarantine_for(self, name: str) -> Exemption | None:
        return next((entry for entry in self.quarantine if entry.matches(name)), None)


def read_project_settings(root: Path, today: date) -> dict[str, Any]:
    """The project's own settings, as words of `GateSettings`. An entry that has expired is an error."""
    path = root / "pyproject.toml"
    table = read_toml(path).get("tool", {}).get("perfsuite", {}).get("gate", {})
    unknown = sorted(set(table) - KNOWN_KEYS)
    if unknown:
        raise UsageError(
            f"{path}: [tool.perfsuite.gate] has {unknown[0]!r}, expected one of {sorted(KNOWN_KEYS)}"
        )
    told: dict[str, Any] = {}
    for name in set(RANGES) & set(table):
        RANGES[name].check(f"{path}: [tool.perfsuite.gate] {name}", table[name])
        told[name.replace("-", "_")] = table[name]
    told["quarantine"] = _read_exemptions(path, "quarantine", table.get("quarantine", []), today)
    told["tolerances"] = _read_exemptions(path, "tolerances", table.get("tolerances", []), today)
    told["renames"] = dict(table.get("renames", {}))
    told["share"] = tuple(table.get("share", ()))
    return told


def _read_exemptions(path: Path, kind: str, entries: Sequence[Any], today: date) -> tuple[Exemption, ...]:
    wanted = {"test", "reason", "expires"} | ({"tolerance"} if kind == "tolerances" else set())
    found = []
    for entry in entries:
        who = f"{path}: [[tool.perfsuite.gate.{kind}]]"
        if not isinstance(entry, dict) or set(entry) != wanted:
            raise UsageError(f"{who} {entry!r}, expected exactly {sorted(wanted)}")
        is_day = isinstance(entry["expires"], date) and not isinstance(entry["expires"], datetime)
        if not str(entry["reason"]).strip() or not is_day:
            raise UsageError(f"{who} {entry['test']}: needs a reason, and expires as a date (2030-01-31)")
        if entry["expires"] < today:
            raise UsageError(
                f"{who} {entry['test']}: expired on {entry['expires']} ({entry['reason']}); "
                "mend the cause and remove the entry, or renew it knowingly"
            )
        if "tolerance" in entry:
            RANGES["tolerance"].check(f"{who} {entry['test']}: tolerance", entry["tolerance"])
        found.append(Exemption(**entry))
    return tuple(found)
