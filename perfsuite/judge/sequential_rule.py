"""The gate's sequential rule: from the log ratios of pairs to a decision, with a bounded false alarm rate.

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
from dataclasses import dataclass, replace

import numpy as np

from perfsuite.judge import sign_flip
from perfsuite.judge.detectable_effect import detectable_spreads, pair_spread
from perfsuite.judge.verdict import Interval, Outcome

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
        alpha = self.alpha / max(1, self.workloads)
        looks = [
            look for look in self.looks if 2.0**-look <= (alpha if look == self.looks[-1] else alpha / 2)
        ]
        if len(looks) <= 1:
            return dict.fromkeys(looks, alpha)
        return {look: alpha / 2 if look == looks[0] else alpha / 2 / (len(looks) - 1) for look in looks}

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

    @property
    def detectable_spreads(self) -> float:
        """The distance beyond the tolerance, in spreads, at which a slowdown is detected nine times in ten.

        >>> many, few = SequentialRule(workloads=8), SequentialRule(workloads=8, max_pairs=12)
        >>> many.detectable_spreads < few.detectable_spreads
        True
        """
        return detectable_spreads(self.alpha_by_look)

    def next_look(self, pairs: int) -> int | None:
        """The next number of pairs at which a change may be reported.

        >>> SequentialRule(workloads=8).next_look(11), SequentialRule(workloads=8).next_look(24)
        (17, None)
        """
        return min((look for look in self.alpha_by_look if look > pairs), default=None)


def max_pairs_for(mde: float, tolerance: float) -> int:
    """The pairs to allow for an MDE: what it exceeds the tolerance by falls with their square root.

    >>> max_pairs_for(0.05, 0.01), max_pairs_for(0.03, 0.01), max_pairs_for(0.02, 0.01)
    (24, 97, 120)
    """
    if not tolerance < mde < DEFAULT_MDE:
        return DEFAULT_MAX_PAIRS
    pairs = DEFAULT_MAX_PAIRS * ((DEFAULT_MDE - DEFAULT_TOLERANCE) / (mde - tolerance)) ** 2
    return min(MOST_PAIRS, max(DEFAULT_MAX_PAIRS, math.ceil(pairs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision on one workload after `pairs` pairs. An outcome of None means: take more pairs."""

    outcome: Outcome | None
    pairs: int
    estimate: float  # ratio minus one
    interval: Interval | None
    mde: float
    missing_pairs: int | None = None  # further pairs that would decide it, if they are like those so far

    @property
    def looks_changed(self) -> bool:
        """Whether the interval excludes no change at all."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


@dataclass(frozen=True, slots=True)
class _PairsAtLook:
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
    def is_narrow(self) -> bool:
        """Whether the interval excludes the required MDE, which a few pairs that agree may hide."""
        return sign_flip.lies_within(self.log_ratios, math.log1p(self.required_mde))

    def decision(self, outcome: Outcome) -> Decision:
        low, high = sign_flip.sign_flip_interval(self.log_ratios)
        level = max(0.0, min(0.95, 1 - 2.0 ** (1 - len(self.log_ratios))))
        return Decision(
            outcome=outcome,
            pairs=len(self.log_ratios),
            estimate=self.estimate,
            interval=Interval(math.expm1(low), math.expm1(high), level),
            mde=self.mde,
        )


def decide(
    rule: SequentialRule,
    log_ratios: Sequence[float],
    tolerance: float | None = None,
    is_final: bool = False,
    error: float = 0.0,
) -> Decision:
    """Judge pairs in the order in which they were taken.

    `is_final`: no further pair will follow. `error` is the standard error of a pair's log ratio, from its
    turns: the spread between a few pairs may be smaller only by chance.

    >>> decide(SequentialRule(workloads=1), [0.1, 0.11] * 6).outcome
    <Outcome.REGRESSED: 'regressed'>
    """
    limit = rule.tolerance if tolerance is None else tolerance
    for pairs in range(min(MIN_PAIRS_TO_KEEP, rule.looks[0]), len(log_ratios) + 1):
        decision = _decide_at(_PairsAtLook(rule, log_ratios[:pairs], limit, error))
        if decision is not None:
            return decision
    is_complete = is_final or len(log_ratios) >= rule.max_pairs
    if is_complete and len(log_ratios) >= 2:
        return _final_decision(_PairsAtLook(rule, log_ratios, limit, error))
    return Decision(
        outcome=Outcome.UNCLEAR if is_complete else None,
        pairs=len(log_ratios),
        estimate=math.expm1(log_ratios[0]) if len(log_ratios) == 1 else 0.0,
        interval=None,
        mde=math.inf,
    )


def _decide_at(evidence: _PairsAtLook) -> Decision | None:
    """Report a change only at a look. Ending as kept spends no alpha, so it may happen after any pair: a
    slowdown of the MDE is too large to be taken for no change."""
    pairs = len(evidence.log_ratios)
    alpha = evidence.rule.alpha_by_look.get(pairs, 0.0)
    change = significant_outcome(evidence.log_ratios, evidence.tolerance, alpha)
    if change is not None:
        return evidence.decision(change)
    if (
        abs(evidence.estimate) <= evidence.tolerance
        and evidence.mde <= evidence.required_mde
        and evidence.is_narrow
    ):
        return evidence.decision(Outcome.KEPT)
    is_hopeless = pairs >= HOPELESS_AFTER_PAIRS and evidence.mde > HOPELESS_MDE_RATIO * evidence.required_mde
    if pairs in evidence.rule.looks and is_hopeless:
        decision = evidence.decision(Outcome.UNCLEAR)
        return None if decision.looks_changed else decision
    return None


def significant_outcome(log_ratios: Sequence[float], tolerance: float, alpha: float) -> Outcome | None:
    """Regressed or improved, where these pairs show it at a chance of error of `alpha`.

    >>> significant_outcome([0.1] * 8, tolerance=0.01, alpha=0.005)
    <Outcome.REGRESSED: 'regressed'>
    """
    if alpha <= 0:
        return None
    values = np.asarray(log_ratios, dtype=np.float64)
    for outcome, signed, edge in (
        (Outcome.REGRESSED, values, math.log1p(tolerance)),
        (Outcome.IMPROVED, -values, -math.log1p(-tolerance)),
    ):
        # Against the tolerance, and against no change at all, where the test is exact for any noise.
        p_value = max(sign_flip.sign_flip_p_value(signed, edge), sign_flip.sign_flip_p_value(signed))
        if p_value <= alpha and sign_flip.hodges_lehmann_center(signed) > edge:
            return outcome
    return None


def _final_decision(evidence: _PairsAtLook) -> Decision:
    """Judge what no further pair will follow.

    A change is reported at looks only. The moment at which the time ends may depend on the pairs, so that a
    test at that moment would have a chance of error of its own.
    """
    kept = evidence.decision(Outcome.KEPT)
    looks_slower = kept.interval is not None and kept.interval.low > evidence.tolerance
    may_hide_one = kept.pairs < evidence.rule.max_pairs and not evidence.is_narrow
    is_unclear = kept.mde > evidence.required_mde or looks_slower or may_hide_one
    return replace(kept, outcome=Outcome.UNCLEAR) if is_unclear else kept


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
    return math.expm1(math.log1p(within) + rule.detectable_spreads * pair_spread(log_ratios, error))
