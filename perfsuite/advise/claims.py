"""What is commonly claimed of training optimisations, and what was found of it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite

from perfsuite.advise.whole_processes import ProcessTimes
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


LOADED = "direct, 2 workers"
CLAIMS = (
    Claim("more workers and a direct decoder load 2x", "loading", LOADED, 2.0),
    Claim("torch.compile trains 1.2x", "training", "compiled", 1.2),
    Claim("torch.compile answers 1.4x", "inference", "compiled", 1.4),
    Claim("AMP trains 1.5x", "training", "bf16", 1.5),
    Claim("AMP halves the memory", "memory", "bf16", 0.5),
    Claim("all combined train 1.8x", "training", "combined", 1.8),
    Claim("all combined answer 1.4x", "inference", "combined", 1.4),
    Claim("all combined halve the memory", "memory", "combined", 0.5),
    Claim("the loader gives 2.8x what training takes", "bottleneck", LOADED, 2.8),
    Claim("an epoch ends 1.22x sooner by faster loading alone", "epoch", LOADED, 1.22),
    Claim("the GPU is busy 90 % of an epoch", "utilisation", LOADED, 0.9),
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
    """The share of an epoch that the step waits for its loader, one for each epoch, and what follows."""

    name: str
    shares: tuple[float, ...]
    gpu_utilisation: float | None = None  # the median of what NVML said meanwhile, 0 to 1

    @property
    def share(self) -> float:
        return quantile(self.shares, 0.5)

    @property
    def loading_bound(self) -> Interval:
        """Amdahl: how many times faster the epoch can get by loading alone.

        >>> Stall("", (0.5,) * 20).loading_bound.low
        2.0
        """
        found = interval_of_median(self.shares, LEVEL)
        return Interval(_bound(max(found.low, 0.0)), _bound(found.high), LEVEL)

    @property
    def step_bound(self) -> float:
        """How many times faster by a faster step alone, the loader staying as it is."""
        return 1 / self.share if self.share > 0 else inf


@dataclass(frozen=True, slots=True)
class Claimed:
    """All that was measured for the claims, in one run on one machine; parts still to come are empty."""

    settings: Mapping[str, str]
    items_per_call: int
    tables: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)  # the first row is the baseline
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes by arm; eager is the baseline
    memory_of: str = ""
    stalls: tuple[Stall, ...] = ()
    processes: Mapping[str, tuple[ProcessTimes, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    to_come: tuple[str, ...] = ()  # parts that were not measured when this was kept

    def row(self, table: str, arm: str) -> Row | None:
        return next((row for row in self.tables.get(table, ()) if row.name == arm), None)

    def stall(self, name: str) -> Stall | None:
        return next((stall for stall in self.stalls if stall.name == name), None)

    def finding(self, claim: Claim) -> tuple[Finding, str]:
        """The verdict and the numbers behind it."""
        match claim.table:
            case "memory":
                return self._memory_finding(claim)
            case "epoch":
                return self._epoch_finding(claim)
            case "utilisation":
                return self._utilisation_finding(claim)
        row = self.row(claim.table, claim.arm)
        if row is None:
            return Finding.NOT_MEASURED, self._why_not(claim.arm)
        return judge(row.speedup, claim.factor), f"{row.estimate:.2f}x ({ends(row.speedup)}, n={row.blocks})"

    def _memory_finding(self, claim: Claim) -> tuple[Finding, str]:
        if claim.arm not in self.memory:
            told = self._why_not(claim.arm)
            if self.memory and self.row("training", claim.arm) is not None:
                told = "what compiled code keeps cannot be seen on a CPU"
            return Finding.NOT_MEASURED, told
        share = self.memory[claim.arm] / self.memory["eager"]
        return Finding.MET if share <= claim.factor else Finding.NOT_MET, f"{share:.2f}x, counted"

    def _epoch_finding(self, claim: Claim) -> tuple[Finding, str]:
        stall = self.stall(claim.arm)
        if stall is None:
            return Finding.NOT_MEASURED, self._why_not(claim.arm)
        bound = stall.loading_bound
        shown = f"at most {_bound(stall.share):.2f}x by Amdahl ({ends(bound)}, n={len(stall.shares)})"
        return judge(bound, claim.factor), shown

    def _utilisation_finding(self, claim: Claim) -> tuple[Finding, str]:
        stall = self.stall(claim.arm)
        if stall is None or stall.gpu_utilisation is None:
            return Finding.NOT_MEASURED, "no GPU here" if stall else self._why_not(claim.arm)
        found = stall.gpu_utilisation
        return Finding.MET if found >= claim.factor else Finding.NOT_MET, f"{found:.0%} by NVML, the median"

    def _why_not(self, arm: str) -> str:
        return self.refused.get(arm, "not reached" if self.to_come else "not among the arms of this run")


def judge(speedup: Interval, claimed: float) -> Finding:
    """Met with the whole interval at or above the claim, not met with the whole below.

    >>> judge(Interval(1.1, 1.3, 0.99), 1.2).value
    'unclear'
    """
    if speedup.low >= claimed:
        return Finding.MET
    return Finding.NOT_MET if speedup.high < claimed else Finding.UNCLEAR


def ends(interval: Interval) -> str:
    """An interval for people, who need not know how few samples give which end."""
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return "too few blocks"
    return f"{interval.low:.2f}-{interval.high:.2f}"


def row_of(
    name: str, ratios: Sequence[float], items_per_second: float, first_call_seconds: float | None = None
) -> Row:
    """A row from the paired ratios of baseline over arm."""
    speedup = interval_of_median(ratios, LEVEL)
    return Row(name, items_per_second, speedup, quantile(ratios, 0.5), len(ratios), first_call_seconds)


def _bound(share: float) -> float:
    return 1 / (1 - share) if share < 1 else inf
