"""The gate's sequential rule: from the log ratios of pairs to a verdict, with a bounded false alarm rate.

The rule tests for a change at fixed numbers of pairs (looks). It may end a workload without a change after
any pair. A workload is regressed if the sign-flip test rejects "no slower than the tolerance" at its share of
alpha. Alpha is divided among the workloads and then among the looks, so the probability of any false alarm in
the whole gate stays within alpha.

The looks count the pairs of one workload and are fixed before its first pair. So the promise does not depend
on the order in which workloads are timed, or on how many pairs each gets (docs/decisions/0024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfsuite.judge import sign_flip
from perfsuite.judge.detectable_effect import detectable_spreads, pair_spread
from perfsuite.judge.verdict import Interval, Outcome, Verdict

PAIRS_BETWEEN_LOOKS = 6  # at least; looks beyond the fifteenth pair are farther apart
GROWTH_BETWEEN_LOOKS = 0.4  # of the pairs so far
DEFAULT_MAX_PAIRS, DEFAULT_MDE, DEFAULT_TOLERANCE = 24, 0.05, 0.01
MOST_PAIRS = 120  # that are taken for a small MDE, unless more are asked for
MIN_PAIRS_TO_KEEP = 4  # pairs after which a workload may end as kept
HOPELESS_MDE_RATIO = 3.0  # more pairs cannot reduce an MDE this many times the target ...
HOPELESS_AFTER_PAIRS = 12  # ... if it is that large after this many


@dataclass(frozen=True, slots=True)
class SequentialRule:
    """The parameters of a gate, fixed before its first pair.

    >>> SequentialRule(workloads=8).looks
    (11, 17, 24)
    """

    workloads: int
    alpha: float = 0.01
    tolerance: float = DEFAULT_TOLERANCE
    max_pairs: int = DEFAULT_MAX_PAIRS
    target_mde: float = DEFAULT_MDE

    @property
    def looks(self) -> tuple[int, ...]:
        """The first look is the earliest that can reach half of a workload's alpha.

        >>> SequentialRule(workloads=8, max_pairs=120).looks
        (11, 17, 23, 32, 44, 61, 85, 120)
        """
        look = max(1, math.ceil(math.log2(2 * max(1, self.workloads) / self.alpha)))
        step = PAIRS_BETWEEN_LOOKS
        looks = []
        while look <= self.max_pairs - step // 2:  # a look just before the last is of little use
            looks.append(look)
            step = max(PAIRS_BETWEEN_LOOKS, int(GROWTH_BETWEEN_LOOKS * look))
            look += step
        return (*looks, self.max_pairs)

    @property
    def alpha_by_look(self) -> Mapping[int, float]:
        """Alpha of one workload at each look: half at the first look that can reach it, the rest evenly.

        >>> SequentialRule(workloads=8).alpha_by_look[11]
        0.000625
        """
        share = self.alpha / max(1, self.workloads)
        looks = [
            look for look in self.looks if 2.0**-look <= (share if look == self.looks[-1] else share / 2)
        ]
        if len(looks) <= 1:
            return dict.fromkeys(looks, share)
        return {look: share / 2 if look == looks[0] else share / 2 / (len(looks) - 1) for look in looks}

    @property
    def min_pairs(self) -> int:
        """The fewest pairs that can be significant, however large the change."""
        return math.ceil(math.log2(max(1, self.workloads) / self.alpha))

    def required_mde(self, tolerance: float) -> float:
        """The target MDE, raised by as much as a marker raises the tolerance of a workload.

        >>> SequentialRule(workloads=1).required_mde(0.03)
        0.07
        """
        return self.target_mde + max(0.0, tolerance - self.tolerance)

    def next_look(self, pairs: int) -> int | None:
        """The next number of pairs at which a change may be reported.

        >>> SequentialRule(workloads=8).next_look(11), SequentialRule(workloads=8).next_look(24)
        (17, None)
        """
        return min((look for look in self.alpha_by_look if look > pairs), default=None)


def max_pairs_for(mde: float, tolerance: float) -> int:
    """The pairs to allow for an MDE: what it exceeds the tolerance by falls with their square root.

    >>> max_pairs_for(0.05, 0.01), max_pairs_for(0.03, 0.01), max_pairs_for(0.02, 0.01)
    (24, 96, 120)
    """
    if not tolerance < mde < DEFAULT_MDE:
        return DEFAULT_MAX_PAIRS
    pairs = DEFAULT_MAX_PAIRS * ((DEFAULT_MDE - DEFAULT_TOLERANCE) / (mde - tolerance)) ** 2
    return min(MOST_PAIRS, max(DEFAULT_MAX_PAIRS, math.ceil(pairs)))


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one workload after `pairs` pairs. An outcome of None means: take more pairs."""

    outcome: Outcome | None
    reason: str
    pairs: int
    estimate: float  # ratio minus one
    interval: Interval | None
    mde: float
    missing_pairs: int | None = None  # further pairs that would decide it, if they are like those so far

    def verdict(self, workload: str, tolerance: float, metric: str = "time") -> Verdict:
        return Verdict(
            workload,
            metric,
            self.outcome or Outcome.UNCLEAR,
            self.reason,
            estimate=self.estimate,
            interval=self.interval,
            bound=tolerance,
            mde=self.mde,
            missing_pairs=self.missing_pairs,
        )


@dataclass(frozen=True, slots=True)
class _PairEvidence:
    """The pairs at one look, and the parameters to judge them."""

    rule: SequentialRule
    log_ratios: Sequence[float]
    tolerance: float  # of this workload; a marker may raise it
    standard_error: float  # of one pair's log ratio, from its turns

    @property
    def estimate(self) -> float:
        return math.expm1(sign_flip.hodges_lehmann_center(self.log_ratios))

    @property
    def mde(self) -> float:
        return minimum_detectable_effect(self.rule, self.log_ratios, self.tolerance, self.standard_error)

    @property
    def required_mde(self) -> float:
        return self.rule.required_mde(self.tolerance)

    @property
    def mde_shortfall(self) -> str:
        if math.isinf(self.mde):
            fewest = self.rule.min_pairs
            return (
                f"{len(self.log_ratios)} pairs cannot show a slowdown of any size, expected at least {fewest}"
            )
        return f"only {self.mde:.1%} would have been detected, expected {self.required_mde:.1%}"

    @property
    def is_narrow(self) -> bool:
        """Whether the interval excludes the required MDE, which a few pairs that agree may hide."""
        return sign_flip.lies_within(self.log_ratios, math.log1p(self.required_mde))

    def decision(self, outcome: Outcome, reason: str) -> Decision:
        low, high = sign_flip.sign_flip_interval(self.log_ratios)
        level = max(0.0, min(0.95, 1 - 2.0 ** (1 - len(self.log_ratios))))
        interval = Interval(math.expm1(low), math.expm1(high), level)
        return Decision(
            outcome=outcome,
            reason=reason,
            pairs=len(self.log_ratios),
            estimate=self.estimate,
            interval=interval,
            mde=self.mde,
        )


def decide(
    rule: SequentialRule,
    log_ratios: Sequence[float],
    tolerance: float | None = None,
    spent: bool = False,
    error: float = 0.0,
) -> Decision:
    """Judge pairs in the order in which they were taken.

    `spent` means that no further pair will follow. `error` is the standard error of a pair's log ratio, from
    its turns: the spread between a few pairs may be smaller only by chance.

    >>> decide(SequentialRule(workloads=1), [0.1, 0.11] * 6).outcome
    <Outcome.REGRESSED: 'regressed'>
    """
    limit = rule.tolerance if tolerance is None else tolerance
    for pairs in range(min(MIN_PAIRS_TO_KEEP, rule.looks[0]), len(log_ratios) + 1):
        decision = _decide_at(_PairEvidence(rule, log_ratios[:pairs], limit, error))
        if decision is not None:
            return decision
    if not spent and len(log_ratios) < rule.max_pairs:
        return Decision(
            outcome=None,
            reason="take more pairs",
            pairs=len(log_ratios),
            estimate=0.0,
            interval=None,
            mde=float("inf"),
        )
    return _final_decision(_PairEvidence(rule, log_ratios, limit, error))


def _decide_at(evidence: _PairEvidence) -> Decision | None:
    """Report a change only at a look. Ending as kept spends no alpha, so it may happen after any pair: a
    slowdown of the MDE is too large to be taken for no change."""
    pairs = len(evidence.log_ratios)
    change = _significant_change(evidence, evidence.rule.alpha_by_look.get(pairs, 0.0))
    if change is not None:
        return change
    if (
        abs(evidence.estimate) <= evidence.tolerance
        and evidence.mde <= evidence.required_mde
        and evidence.is_narrow
    ):
        return evidence.decision(
            Outcome.KEPT, f"within {evidence.tolerance:.1%}; {evidence.mde:.1%} would have been detected"
        )
    is_hopeless = pairs >= HOPELESS_AFTER_PAIRS and evidence.mde > HOPELESS_MDE_RATIO * evidence.required_mde
    if pairs in evidence.rule.looks and is_hopeless:
        low, high = sign_flip.sign_flip_interval(evidence.log_ratios)
        if low <= 0 <= high:
            return evidence.decision(Outcome.UNCLEAR, f"too noisy here: {evidence.mde_shortfall}")
    return None


def _significant_change(evidence: _PairEvidence, share: float) -> Decision | None:
    outcome = significant_outcome(evidence.log_ratios, evidence.tolerance, share)
    if outcome is None:
        return None
    word = "slower" if outcome is Outcome.REGRESSED else "faster"
    return evidence.decision(
        outcome, f"{abs(evidence.estimate):.1%} {word}, tolerance {evidence.tolerance:.1%}"
    )


def significant_outcome(log_ratios: Sequence[float], tolerance: float, share: float) -> Outcome | None:
    """Regressed or improved, where these pairs show it at a chance of error of `share`.

    >>> significant_outcome([0.1] * 8, tolerance=0.01, share=0.005)
    <Outcome.REGRESSED: 'regressed'>
    """
    if share <= 0:
        return None
    values = np.asarray(log_ratios, dtype=np.float64)
    for outcome, signed, edge in (
        (Outcome.REGRESSED, values, math.log1p(tolerance)),
        (Outcome.IMPROVED, -values, -math.log1p(-tolerance)),
    ):
        # Against the tolerance, and against no change at all, where the test is exact for any noise.
        p_value = max(sign_flip.sign_flip_p_value(signed, edge), sign_flip.sign_flip_p_value(signed))
        if p_value <= share and sign_flip.hodges_lehmann_center(signed) > edge:
            return outcome
    return None


def _final_decision(evidence: _PairEvidence) -> Decision:
    """Judge what no further pair will follow.

    A change is reported at looks only. The moment at which the time ends may depend on the pairs, so that a
    test at that moment would have a chance of error of its own.
    """
    ratios, rule = evidence.log_ratios, evidence.rule
    if len(ratios) < 2:
        estimate = math.expm1(ratios[0]) if ratios else 0.0
        reason = f"{len(ratios)} pairs, expected at least 2; allow more time"
        return Decision(Outcome.UNCLEAR, reason, len(ratios), estimate, None, float("inf"))
    if evidence.mde > evidence.required_mde:
        return evidence.decision(Outcome.UNCLEAR, evidence.mde_shortfall)
    if sign_flip.sign_flip_interval(ratios)[0] > math.log1p(evidence.tolerance):
        return evidence.decision(
            Outcome.UNCLEAR, f"looks {evidence.estimate:.1%} slower, but not significantly; take more pairs"
        )
    if len(ratios) < rule.max_pairs and not evidence.is_narrow:
        return evidence.decision(Outcome.UNCLEAR, f"{len(ratios)} pairs that differ; take more pairs")
    reason = f"no slowdown beyond {evidence.tolerance:.1%} shown; {evidence.mde:.1%} would have been detected"
    return evidence.decision(Outcome.KEPT, reason)


def minimum_detectable_effect(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float | None = None, error: float = 0.0
) -> float:
    """The smallest slowdown that this rule detects nine times in ten, at the spread of these pairs.

    The spread is at least `error`.

    >>> rule, quiet = SequentialRule(workloads=8), [0.0] * 4
    >>> minimum_detectable_effect(rule, quiet, error=0.02) == minimum_detectable_effect(rule, quiet)
    False
    """
    within = rule.tolerance if tolerance is None else tolerance
    return math.expm1(math.log1p(within) + detectable_deviations(rule) * pair_spread(log_ratios, error))


def detectable_deviations(rule: SequentialRule) -> float:
    """The distance beyond the tolerance, in spreads, at which a slowdown is detected nine times in ten.

    >>> many, few = SequentialRule(workloads=8), SequentialRule(workloads=8, max_pairs=12)
    >>> detectable_deviations(many) < detectable_deviations(few)
    True
    """
    return detectable_spreads(rule.alpha_by_look)
