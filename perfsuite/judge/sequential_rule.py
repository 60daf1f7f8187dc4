"""The gate's rule: from the log ratios of pairs to a verdict, with a stated chance of any false alarm.

At set numbers of pairs the rule looks; after any pair it may let go what shows no change. A workload
is regressed when the coin tosses of its pairs would give what was seen, were it no slower than the tolerance,
with less than its share of alpha: alpha is divided among the workloads and then among the looks, so all looks
at all workloads together stay below it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median, stdev

import numpy as np

from perfsuite.judge import sign_flip
from perfsuite.judge.verdict import Interval, Outcome, Verdict

PAIRS_BETWEEN_LOOKS = 6
MIN_PAIRS_TO_KEEP = 4  # pairs after which a workload may be let go as unchanged
POWER = 0.9  # the MDE is found this often
HOPELESS_MDE_RATIO = 3.0  # an MDE this many times the one asked for will not come down with more pairs ...
HOPELESS_AFTER_PAIRS = 12  # ... seen after this many
STANDARD_ERROR_PER_IQR = 1.2 / 1.35  # a standard deviation, and that a mean of the middle half scatters more
NULL_PAIRS = 6
NULL_DEVIATIONS = 3.5  # in spreads; with six pairs that is a t of 8.6


@dataclass(frozen=True, slots=True)
class SequentialRule:
    """What was agreed on before the first pair.

    >>> SequentialRule(workloads=8).looks
    (6, 12, 18, 24)
    """

    workloads: int
    alpha: float = 0.01
    tolerance: float = 0.01
    max_pairs: int = 24
    target_mde: float = 0.05

    @property
    def looks(self) -> tuple[int, ...]:
        steps = range(PAIRS_BETWEEN_LOOKS, self.max_pairs, PAIRS_BETWEEN_LOOKS)
        return (*steps, self.max_pairs)

    @property
    def alpha_by_look(self) -> Mapping[int, float]:
        """Alpha of one workload at each look: half at the first at which coins suffice, the rest evenly.

        >>> SequentialRule(workloads=8).alpha_by_look[12]
        0.000625
        """
        each = self.alpha / max(1, self.workloads)
        able = [look for look in self.looks if 2.0**-look <= (each if look == self.looks[-1] else each / 2)]
        if len(able) <= 1:
            return dict.fromkeys(able, each)
        return {look: each / 2 if look == able[0] else each / 2 / (len(able) - 1) for look in able}

    @property
    def min_pairs(self) -> int:
        """Below this many pairs no ratio, however large, is significant."""
        return math.ceil(math.log2(max(1, self.workloads) / self.alpha))


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rule says of one workload after `pairs` pairs; `outcome` None is: take more."""

    outcome: Outcome | None
    reason: str
    pairs: int
    estimate: float  # ratio less one
    interval: Interval | None
    mde: float
    p_value: float = 1.0  # of such signs, were the change within the tolerance

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
        )


@dataclass(frozen=True, slots=True)
class _PairEvidence:
    """The pairs that one look has before it, and what it measures them by."""

    rule: SequentialRule
    log_ratios: Sequence[float]
    tolerance: float  # the tolerance, which a marker may have widened
    standard_error: float  # of one pair's number, as its own turns tell it

    @property
    def estimate(self) -> float:
        return math.expm1(sign_flip.hodges_lehmann_center(self.log_ratios))

    @property
    def mde(self) -> float:
        return minimum_detectable_effect(self.rule, self.log_ratios, self.tolerance, self.standard_error)

    @property
    def required_mde(self) -> float:
        """The MDE asked for; a workload that may be slower is also allowed to hide more."""
        return self.rule.target_mde + max(0.0, self.tolerance - self.rule.tolerance)

    @property
    def mde_shortfall(self) -> str:
        if math.isinf(self.mde):
            fewest = self.rule.min_pairs
            return (
                f"{len(self.log_ratios)} pairs cannot show a slowdown of any size, expected at least {fewest}"
            )
        return f"only {self.mde:.1%} would have been found, {self.required_mde:.1%} was asked"

    @property
    def is_narrow(self) -> bool:
        """Whether no pair speaks for a change of the size asked for: a few that agree may hide one."""
        low, high = sign_flip.sign_flip_interval(self.log_ratios)
        return max(abs(low), abs(high)) <= math.log1p(self.required_mde)

    def decision(self, outcome: Outcome, reason: str, chance: float = 1.0) -> Decision:
        low, high = sign_flip.sign_flip_interval(self.log_ratios)
        level = max(0.0, min(0.95, 1 - 2.0 ** (1 - len(self.log_ratios))))
        interval = Interval(math.expm1(low), math.expm1(high), level)
        return Decision(outcome, reason, len(self.log_ratios), self.estimate, interval, self.mde, chance)


def decide(
    rule: SequentialRule,
    log_ratios: Sequence[float],
    tolerance: float | None = None,
    spent: bool = False,
    error: float = 0.0,
) -> Decision:
    """Judge pairs in the order they were taken. `spent`: no further pair will come; `error`: how far off
    the number of a pair is by its own turns, below which a few pairs that agree are luck.

    >>> decide(SequentialRule(workloads=1), [0.1, 0.11] * 6).outcome
    <Outcome.REGRESSED: 'regressed'>
    """
    within = rule.tolerance if tolerance is None else tolerance
    for pairs in range(min(MIN_PAIRS_TO_KEEP, rule.looks[0]), len(log_ratios) + 1):
        found = _decide_at(_PairEvidence(rule, log_ratios[:pairs], within, error))
        if found is not None:
            return found
    if not spent and len(log_ratios) < rule.max_pairs:
        return Decision(None, "take more pairs", len(log_ratios), 0.0, None, float("inf"))
    return _final_decision(_PairEvidence(rule, log_ratios, within, error))


def _decide_at(seen: _PairEvidence) -> Decision | None:
    """Only a look of the rule can accuse or praise. Letting go costs none of alpha and may happen after any
    pair: a slowdown worth finding lies too far from nothing to be taken for it."""
    pairs = len(seen.log_ratios)
    found = _significant_change(seen, seen.rule.alpha_by_look.get(pairs, 0.0))
    if found is not None:
        return found
    if abs(seen.estimate) <= seen.tolerance and seen.mde <= seen.required_mde and seen.is_narrow:
        return seen.decision(
            Outcome.KEPT, f"within {seen.tolerance:.1%}; {seen.mde:.1%} would have been found"
        )
    is_hopeless = pairs >= HOPELESS_AFTER_PAIRS and seen.mde > HOPELESS_MDE_RATIO * seen.required_mde
    if pairs in seen.rule.looks and is_hopeless:
        low, high = sign_flip.sign_flip_interval(seen.log_ratios)
        if low <= 0 <= high:
            return seen.decision(Outcome.UNCLEAR, f"too restless here: {seen.mde_shortfall}")
    return None


def _significant_change(seen: _PairEvidence, share: float) -> Decision | None:
    if share <= 0:
        return None
    values = np.asarray(seen.log_ratios, dtype=np.float64)
    for outcome, signed, word in (
        (Outcome.REGRESSED, values, "slower"),
        (Outcome.IMPROVED, -values, "faster"),
    ):
        edge = math.log1p(seen.tolerance) if outcome is Outcome.REGRESSED else -math.log1p(-seen.tolerance)
        # Against the tolerance, and against no change at all, where the coin toss is exact for any noise.
        chance = max(sign_flip.sign_flip_p_value(signed, edge), sign_flip.sign_flip_p_value(signed))
        if chance <= share and sign_flip.hodges_lehmann_center(signed) > edge:
            return seen.decision(
                outcome, f"{abs(seen.estimate):.1%} {word}, tolerance {seen.tolerance:.1%}", chance
            )
    return None


def _final_decision(seen: _PairEvidence) -> Decision:
    ratios, rule = seen.log_ratios, seen.rule
    if len(ratios) < 2:
        estimate = math.expm1(ratios[0]) if ratios else 0.0
        reason = f"{len(ratios)} pairs, expected at least 2; allow more time"
        return Decision(Outcome.UNCLEAR, reason, len(ratios), estimate, None, float("inf"))
    if len(ratios) not in rule.looks:
        # The time ended between two looks, which has nothing to do with what was seen: the unspent
        # shares are spent here.
        found = _significant_change(
            seen, sum(share for look, share in rule.alpha_by_look.items() if look > len(ratios))
        )
        if found is not None:
            return found
    if seen.mde > seen.required_mde:
        return seen.decision(Outcome.UNCLEAR, seen.mde_shortfall)
    if sign_flip.sign_flip_interval(ratios)[0] > math.log1p(seen.tolerance):
        return seen.decision(
            Outcome.UNCLEAR, f"looks {seen.estimate:.1%} slower, but not surely; take more pairs"
        )
    reason = f"no slowdown beyond {seen.tolerance:.1%} shown; {seen.mde:.1%} would have been found"
    return seen.decision(Outcome.KEPT, reason)


def minimum_detectable_effect(
    rule: SequentialRule, log_ratios: Sequence[float], tolerance: float | None = None, error: float = 0.0
) -> float:
    """The smallest slowdown that this rule finds nine times in ten, with pairs that scatter like these, and
    by no less than `error`.

    >>> rule, quiet = SequentialRule(workloads=8), [0.0] * 4
    >>> minimum_detectable_effect(rule, quiet, error=0.02) == minimum_detectable_effect(rule, quiet)
    False
    """
    within = rule.tolerance if tolerance is None else tolerance
    return math.expm1(
        math.log1p(within) + detectable_deviations(rule) * max(error, sign_flip.pair_deviation(log_ratios))
    )


def detectable_deviations(rule: SequentialRule) -> float:
    """How many spreads beyond the tolerance a slowdown must lie to be found nine times in ten.

    >>> many, few = SequentialRule(workloads=8), SequentialRule(workloads=8, max_pairs=12)
    >>> detectable_deviations(many) < detectable_deviations(few)
    True
    """
    return _detectable_deviations(tuple(sorted(rule.alpha_by_look.items())))


@lru_cache(maxsize=64)
def _detectable_deviations(shares: tuple[tuple[int, float], ...]) -> float:
    if not shares:
        return float("inf")
    noise = np.random.default_rng(20261121).normal(size=(200, shares[-1][0]))
    low, high = 0.0, 8.0
    for _ in range(7):
        middle = (low + high) / 2
        found = fmean(_is_detected(row + middle, shares) for row in noise)
        low, high = (low, middle) if found >= POWER else (middle, high)
    return high


def _is_detected(values: sign_flip.FloatArray, shares: tuple[tuple[int, float], ...]) -> bool:
    return any(sign_flip.sign_flip_p_value(values[:look]) <= share for look, share in reversed(shares))


def unfit_workloads(null_log_ratios: Mapping[str, Sequence[float]], tolerance: float) -> tuple[str, ...]:
    """Workloads whose base differs from base: in every null pair, and by far more than the pairs scatter.

    >>> unfit_workloads({"a": [0.05, 0.052, 0.051, 0.05, 0.049, 0.05]}, tolerance=0.01)
    ('a',)
    """
    return tuple(name for name, seen in null_log_ratios.items() if _base_differs(seen, tolerance))


def _base_differs(seen: Sequence[float], tolerance: float) -> bool:
    if len(seen) < NULL_PAIRS or not (min(seen) > 0 or max(seen) < 0):
        return False
    return abs(median(seen)) > tolerance and abs(fmean(seen)) > NULL_DEVIATIONS * stdev(seen)


def pair_log_ratio(base: Sequence[float], head: Sequence[float]) -> float:
    """The number of one pair, head over base: the mean of the middle half of its turns' log ratios.

    Turns differ by luck in two or three sizes; a median jumps between these where a mean settles.

    >>> round(pair_log_ratio([1.0, 1.0, 1.0, 9.0], [1.1, 1.1, 1.1, 1.1]), 3)
    0.095
    """
    return interquartile_mean(_turn_log_ratios(base, head))


def interquartile_mean(log_ratios: Sequence[float]) -> float:
    """The mean of the middle half.

    >>> interquartile_mean([0.0, 0.1, 0.1, 9.0])
    0.1
    """
    out = len(log_ratios) // 4
    return fmean(sorted(log_ratios)[out : len(log_ratios) - out])


def pair_standard_error(base: Sequence[float], head: Sequence[float]) -> float:
    """How far off the number of this pair may be, its processes being what they are.

    >>> round(pair_standard_error([1.0] * 100, [0.99, 1.01] * 50), 3)
    0.002
    """
    low, high = np.quantile(_turn_log_ratios(base, head), (0.25, 0.75))
    return float(STANDARD_ERROR_PER_IQR * (high - low)) / math.sqrt(len(base))


def _turn_log_ratios(base: Sequence[float], head: Sequence[float]) -> list[float]:
    """Of neighboring turns."""
    return [math.log(h / b) for b, h in zip(base, head, strict=True)]
