"""What is commonly claimed of training optimizations, and what was found of it here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite

from perfsuite.advise.claims.process_times import ProcessTimes
from perfsuite.judge.order_statistics import median_interval, quantile
from perfsuite.judge.verdict import Interval

LEVEL = 0.99


class ClaimOutcome(StrEnum):
    MET = "met"
    NOT_MET = "not met here"
    UNCLEAR = "unclear"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Claim:
    """That `arm` of `table` is `factor` times what its baseline is; a memory factor is a ceiling."""

    statement: str
    table: str
    variant: str
    factor: float


DIRECT_LOADER = "direct, 2 workers"
CLAIMS = (
    Claim("more workers and a direct decoder load 2x", "loading", DIRECT_LOADER, 2.0),
    Claim("torch.compile trains 1.2x", "training", "compiled", 1.2),
    Claim("torch.compile answers 1.4x", "inference", "compiled", 1.4),
    Claim("AMP trains 1.5x", "training", "bf16", 1.5),
    Claim("AMP halves the memory", "memory", "bf16", 0.5),
    Claim("all combined train 1.8x", "training", "combined", 1.8),
    Claim("all combined answer 1.4x", "inference", "combined", 1.4),
    Claim("all combined halve the memory", "memory", "combined", 0.5),
    Claim("the loader gives 2.8x what training takes", "bottleneck", DIRECT_LOADER, 2.8),
    Claim("an epoch ends 1.22x sooner by faster loading alone", "epoch", DIRECT_LOADER, 1.22),
    Claim("the GPU is busy 90 % of an epoch", "utilization", DIRECT_LOADER, 0.9),
)


@dataclass(frozen=True, slots=True)
class SpeedupRow:
    """One arm of a table: its rate, and the factor against the table's baseline with its interval."""

    name: str
    items_per_second: float
    speedup: Interval
    estimate: float
    blocks: int
    first_call_seconds: float | None = None  # with compiling

    def break_even_calls(self, baseline: SpeedupRow, items_per_call: float) -> float | None:
        """Calls after which the first call's compiling is paid back; None where it never is."""
        saved = items_per_call / baseline.items_per_second - items_per_call / self.items_per_second
        if self.first_call_seconds is None or saved <= 0:
            return None
        return self.first_call_seconds / saved


@dataclass(frozen=True, slots=True)
class LoaderStall:
    """The share of an epoch that the step waits for its loader, one for each epoch, and what follows."""

    name: str
    shares: tuple[float, ...]
    gpu_utilization: float | None = None  # the median of what NVML said meanwhile, 0 to 1

    @property
    def share(self) -> float:
        return quantile(self.shares, 0.5)

    @property
    def loading_speedup_bound(self) -> Interval:
        """Amdahl: how many times faster the epoch can get by loading alone.

        >>> LoaderStall("", (0.5,) * 20).loading_speedup_bound.low
        2.0
        """
        found = median_interval(self.shares, LEVEL)
        return Interval(_amdahl_speedup(max(found.low, 0.0)), _amdahl_speedup(found.high), LEVEL)

    @property
    def step_speedup_bound(self) -> float:
        """How many times faster by a faster step alone, the loader staying as it is."""
        return 1 / self.share if self.share > 0 else inf


@dataclass(frozen=True, slots=True)
class ClaimsReport:
    """All that was measured for the claims, in one run on one machine; parts still to come are empty."""

    settings: Mapping[str, str]
    items_per_call: int
    tables: Mapping[str, tuple[SpeedupRow, ...]] = field(
        default_factory=dict
    )  # the first row is the baseline
    memory: Mapping[str, int] = field(default_factory=dict)  # bytes by arm; eager is the baseline
    memory_metric: str = ""
    stalls: tuple[LoaderStall, ...] = ()
    processes: Mapping[str, tuple[ProcessTimes, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[str, ...] = ()  # parts that were not measured when this was kept

    def row(self, table: str, arm: str) -> SpeedupRow | None:
        return next((row for row in self.tables.get(table, ()) if row.name == arm), None)

    def stall(self, name: str) -> LoaderStall | None:
        return next((stall for stall in self.stalls if stall.name == name), None)

    def judge_claim(self, claim: Claim) -> tuple[ClaimOutcome, str]:
        """The verdict and the numbers behind it."""
        match claim.table:
            case "memory":
                return self._judge_memory(claim)
            case "epoch":
                return self._judge_epoch(claim)
            case "utilization":
                return self._judge_utilization(claim)
        row = self.row(claim.table, claim.variant)
        if row is None:
            return ClaimOutcome.NOT_MEASURED, self._missing_reason(claim.variant)
        return judge_speedup(
            row.speedup, claim.factor
        ), f"{row.estimate:.2f}x ({format_interval(row.speedup)}, n={row.blocks})"

    def _judge_memory(self, claim: Claim) -> tuple[ClaimOutcome, str]:
        if claim.variant not in self.memory:
            told = self._missing_reason(claim.variant)
            if self.memory and self.row("training", claim.variant) is not None:
                told = "what compiled code keeps cannot be seen on a CPU"
            return ClaimOutcome.NOT_MEASURED, told
        share = self.memory[claim.variant] / self.memory["eager"]
        return ClaimOutcome.MET if share <= claim.factor else ClaimOutcome.NOT_MET, f"{share:.2f}x, counted"

    def _judge_epoch(self, claim: Claim) -> tuple[ClaimOutcome, str]:
        stall = self.stall(claim.variant)
        if stall is None:
            return ClaimOutcome.NOT_MEASURED, self._missing_reason(claim.variant)
        bound = stall.loading_speedup_bound
        speedup = _amdahl_speedup(stall.share)
        shown = f"at most {speedup:.2f}x by Amdahl ({format_interval(bound)}, n={len(stall.shares)})"
        return judge_speedup(bound, claim.factor), shown

    def _judge_utilization(self, claim: Claim) -> tuple[ClaimOutcome, str]:
        stall = self.stall(claim.variant)
        if stall is None or stall.gpu_utilization is None:
            return ClaimOutcome.NOT_MEASURED, "no GPU here" if stall else self._missing_reason(claim.variant)
        found = stall.gpu_utilization
        return (
            ClaimOutcome.MET if found >= claim.factor else ClaimOutcome.NOT_MET,
            f"{found:.0%} by NVML, the median",
        )

    def _missing_reason(self, arm: str) -> str:
        return self.refused.get(arm, "not reached" if self.pending else "not among the arms of this run")


def judge_speedup(speedup: Interval, claimed: float) -> ClaimOutcome:
    """Met with the whole interval at or above the claim, not met with the whole below.

    >>> judge_speedup(Interval(1.1, 1.3, 0.99), 1.2).value
    'unclear'
    """
    if speedup.low >= claimed:
        return ClaimOutcome.MET
    return ClaimOutcome.NOT_MET if speedup.high < claimed else ClaimOutcome.UNCLEAR


def format_interval(interval: Interval) -> str:
    """An interval for people, who need not know how few samples give which end."""
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return "too few blocks"
    return f"{interval.low:.2f}-{interval.high:.2f}"


def speedup_row(
    name: str, ratios: Sequence[float], items_per_second: float, first_call_seconds: float | None = None
) -> SpeedupRow:
    """A row from the paired ratios of baseline over arm."""
    speedup = median_interval(ratios, LEVEL)
    return SpeedupRow(name, items_per_second, speedup, quantile(ratios, 0.5), len(ratios), first_call_seconds)


def _amdahl_speedup(share: float) -> float:
    return 1 / (1 - share) if share < 1 else inf
