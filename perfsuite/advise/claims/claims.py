"""What is commonly claimed of training optimizations; each kind of claim is judged by its own class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from perfsuite.advise.claims.epochs import ALL_COMBINED
from perfsuite.advise.claims.parts import PARTS
from perfsuite.advise.claims.results import ClaimsReport, format_interval
from perfsuite.judge.amdahl import max_speedup_without
from perfsuite.judge.verdict import Interval


class ClaimOutcome(StrEnum):
    MET = "met"
    NOT_MET = "not met here"
    UNCLEAR = "unclear"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """The outcome of a claim, and the figures or the reason behind it."""

    outcome: ClaimOutcome
    evidence: str


class Claim(Protocol):
    """A statement that a report meets or does not meet."""

    @property
    def statement(self) -> str: ...

    def judge(self, report: ClaimsReport) -> ClaimVerdict: ...


@dataclass(frozen=True, slots=True)
class SpeedupClaim:
    """`variant` is at least `factor` times as fast as the first row of `table`."""

    statement: str
    table: str
    variant: str
    factor: float

    def judge(self, report: ClaimsReport) -> ClaimVerdict:
        row = report.row(self.table, self.variant)
        if row is None:
            return _not_measured(report, self.table, self.variant)
        figures = f"{row.estimate:.2f}x ({format_interval(row.speedup)}, n={row.blocks})"
        return ClaimVerdict(judge_speedup(row.speedup, self.factor), figures)


@dataclass(frozen=True, slots=True)
class MemoryClaim:
    """`variant` needs at most `factor` times the memory of eager. Bytes are counted, so there is no noise."""

    statement: str
    variant: str
    factor: float

    def judge(self, report: ClaimsReport) -> ClaimVerdict:
        if self.variant in report.memory:
            ratio = report.memory[self.variant] / report.memory["eager"]
            return _exact(ratio <= self.factor, f"{ratio:.2f}x, counted")
        if report.memory and report.row("training", self.variant) is not None:
            reason = "on a CPU, the bytes that compiled code saves cannot be counted"
            return ClaimVerdict(ClaimOutcome.NOT_MEASURED, reason)
        part = "training" if report.row("training", self.variant) is None else "memory"
        return _not_measured(report, part, self.variant)


@dataclass(frozen=True, slots=True)
class EpochClaim:
    """An epoch becomes `factor` times as fast by faster loading alone, by Amdahl's bound."""

    statement: str
    loader: str
    factor: float

    def judge(self, report: ClaimsReport) -> ClaimVerdict:
        stall = report.stall(self.loader)
        if stall is None:
            return _not_measured(report, "stalls", self.loader)
        bound = stall.loading_speedup_bound
        figures = (
            f"at most {max_speedup_without(stall.share):.2f}x by Amdahl "
            f"({format_interval(bound)}, n={len(stall.shares)})"
        )
        return ClaimVerdict(judge_speedup(bound, self.factor), figures)


@dataclass(frozen=True, slots=True)
class UtilizationClaim:
    """The GPU is busy at least this fraction of an epoch, by NVML."""

    statement: str
    loader: str
    fraction: float

    def judge(self, report: ClaimsReport) -> ClaimVerdict:
        stall = report.stall(self.loader)
        if stall is None:
            return _not_measured(report, "stalls", self.loader)
        if stall.gpu_utilization is None:
            return ClaimVerdict(ClaimOutcome.NOT_MEASURED, "no GPU here")
        utilization = stall.gpu_utilization
        return _exact(utilization >= self.fraction, f"{utilization:.0%} by NVML, the median")


def judge_speedup(speedup: Interval, claimed: float) -> ClaimOutcome:
    """Met where the whole interval is at or above the claim, not met where all of it is below.

    >>> judge_speedup(Interval(1.1, 1.3, 0.99), 1.2).value
    'unclear'
    """
    if speedup.low >= claimed:
        return ClaimOutcome.MET
    return ClaimOutcome.NOT_MET if speedup.high < claimed else ClaimOutcome.UNCLEAR


def _exact(is_met: bool, figures: str) -> ClaimVerdict:
    return ClaimVerdict(ClaimOutcome.MET if is_met else ClaimOutcome.NOT_MET, figures)


def _not_measured(report: ClaimsReport, part: str, variant: str) -> ClaimVerdict:
    title = PARTS[part].title
    reason = report.rejected.get(f"{title}: {variant}") or report.rejected.get(title)
    default = "not reached" if title in report.pending else "not among the variants of this run"
    return ClaimVerdict(ClaimOutcome.NOT_MEASURED, reason or default)


DIRECT_LOADER = "direct, 2 workers"
USER_LOADERS = ("yours, 2 workers", "yours, no workers")
CLAIMS: Sequence[Claim] = (
    SpeedupClaim("more workers and a direct decoder load 2x", "loading", DIRECT_LOADER, 2.0),
    SpeedupClaim("torch.compile trains 1.2x", "training", "compiled", 1.2),
    SpeedupClaim("torch.compile predicts 1.4x", "inference", "compiled", 1.4),
    SpeedupClaim("AMP trains 1.5x", "training", "bf16", 1.5),
    MemoryClaim("AMP halves the memory", "bf16", 0.5),
    SpeedupClaim("all combined train 1.8x, without loading", "training", "combined", 1.8),
    SpeedupClaim("all combined train 1.8x, loading included", "epoch", ALL_COMBINED, 1.8),
    SpeedupClaim("all combined predict 1.4x", "inference", "combined", 1.4),
    MemoryClaim("all combined halve the memory", "combined", 0.5),
    SpeedupClaim("the loader delivers 2.8x what training consumes", "bottleneck", DIRECT_LOADER, 2.8),
    EpochClaim("an epoch ends 1.22x sooner by faster loading alone", DIRECT_LOADER, 1.22),
    UtilizationClaim("the GPU is busy 90 % of an epoch", DIRECT_LOADER, 0.9),
)


def claims_about(report: ClaimsReport) -> Sequence[Claim]:
    """The claims, and those about the user's loader where one was measured."""
    label = next((name for name in USER_LOADERS if report.row("bottleneck", name) is not None), None)
    if label is None:
        return CLAIMS
    return (
        *CLAIMS,
        SpeedupClaim("your loader delivers 2.8x what training consumes", "bottleneck", label, 2.8),
        EpochClaim("an epoch ends 1.22x sooner by a faster loader than yours alone", label, 1.22),
    )
