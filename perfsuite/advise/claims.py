"""What is commonly claimed of training optimisations, and what was found of it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from perfsuite.judge.statistics import interval_of_median, quantile
from perfsuite.judge.verdict import Interval

LEVEL = 0.99


class Finding(StrEnum):
    MET = "met"
    NOT_MET = "not met here"
    UNCLEAR = "unclear"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Claim:
    """That `arm` of `table` is `factor` times what its baseline is; a memory factor is a ceiling."""

    words: str
    table: str
    arm: str
    factor: float


CLAIMS = (
    Claim("more workers and a direct decoder load 2x", "loading", "direct, 2 workers", 2.0),
    Claim("torch.compile trains 1.2x", "training", "compiled", 1.2),
    Claim("torch.compile answers 1.4x", "inference", "compiled", 1.4),
    Claim("AMP trains 1.5x", "training", "bf16", 1.5),
    Claim("AMP halves the memory", "memory", "bf16", 0.5),
    Claim("all combined train 1.8x", "training", "combined", 1.8),
    Claim("all combined answer 1.4x", "inference", "combined", 1.4),
    Claim("all combined halve the memory", "memory", "combined", 0.5),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One arm of a table: its rate, and the factor against the table's baseline with its interval."""

    name: str
    items_per_second: float
    speedup: Interval
    estimate: float
    blocks: int
    first_call_seconds: float | None = None  # with compiling

    def break_even_calls(self, baseline: Row, items_per_call: float) -> float | None:
        """Calls after which the first call's compiling is paid back; None where it never is."""
        saved = items_per_call / baseline.items_per_second - items_per_call / self.items_per_second
        if self.first_call_seconds is None or saved <= 0:
            return None
        return self.first_call_seconds / saved


@dataclass(frozen=True, slots=True)
class Stall:
    """The share of an epoch that the step waits for its loader, and what follows from it."""

    name: str
    share: float

    @property
    def loading_bound(self) -> float:
        """Amdahl: how many times faster the epoch can get by loading alone.

        >>> Stall("", 0.5).loading_bound
        2.0
        """
        return 1 / (1 - self.share) if self.share < 1 else float("inf")

    @property
    def step_bound(self) -> float:
        """How many times faster by a faster step alone, the loader staying as it is."""
        return 1 / self.share if self.share > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class Claimed:
    """All that was measured for the claims, in one run on one machine."""

    settings: Mapping[str, str]
    items_per_call: int
    tables: Mapping[str, tuple[Row, ...]]  # the first row of each is its baseline
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes by arm; eager is the baseline
    memory_of: str = ""
    stalls: tuple[Stall, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def row(self, table: str, arm: str) -> Row | None:
        return next((row for row in self.tables.get(table, ()) if row.name == arm), None)

    def finding(self, claim: Claim) -> tuple[Finding, str]:
        """The verdict and the numbers behind it."""
        if claim.table == "memory":
            return self._memory_finding(claim)
        row = self.row(claim.table, claim.arm)
        if row is None:
            return Finding.NOT_MEASURED, self.refused.get(claim.arm, "not among the arms of this run")
        ends = f"{row.speedup.low:.2f}-{row.speedup.high:.2f}"
        if not (isfinite(row.speedup.low) and isfinite(row.speedup.high)):
            ends = "too few blocks for an interval"
        shown = f"{row.estimate:.2f}x ({ends}, n={row.blocks})"
        return judge(row.speedup, claim.factor), shown

    def _memory_finding(self, claim: Claim) -> tuple[Finding, str]:
        if claim.arm not in self.memory:
            return Finding.NOT_MEASURED, self.refused.get(claim.arm, "not among the arms of this run")
        share = self.memory[claim.arm] / self.memory["eager"]
        return Finding.MET if share <= claim.factor else Finding.NOT_MET, f"{share:.2f}x, counted"


def judge(speedup: Interval, claimed: float) -> Finding:
    """Met with the whole interval at or above the claim, not met with the whole below.

    >>> judge(Interval(1.1, 1.3, 0.99), 1.2).value
    'unclear'
    """
    if speedup.low >= claimed:
        return Finding.MET
    return Finding.NOT_MET if speedup.high < claimed else Finding.UNCLEAR


def row_of(name: str, ratios: list[float], items_per_second: float, first: float | None = None) -> Row:
    """A row from the paired ratios of baseline over arm."""
    return Row(
        name, items_per_second, interval_of_median(ratios, LEVEL), quantile(ratios, 0.5), len(ratios), first
    )
