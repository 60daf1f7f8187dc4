"""The rule, on invented noise: false alarms stay below alpha whatever the noise, and slowdowns are found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from perfsuite.judge.machine_fitness import unfit_workloads
from perfsuite.judge.pair_ratio import pair_log_ratio
from perfsuite.judge.sequential_rule import (
    SequentialRule,
    decide,
    max_pairs_for,
    minimum_detectable_effect,
)
from perfsuite.judge.verdict import Outcome

TURNS = 8
Turns = tuple[list[float], list[float]]  # seconds per call of the first and of the second process


def worked(chance: Generator, first: float = 1.0, second: float = 1.0, drift: float = 0.0) -> Turns:
    """A pair's turns in the order A B B A ..., on a clock that drifts by `drift` a turn."""
    taken: Turns = ([], [])
    for place, side in enumerate([0, 1, 1, 0] * (TURNS // 2)):
        seconds = (first, second)[side] * math.exp(drift * place + chance.normal(0, 0.01))
        taken[side].append(seconds)
    return taken


def steady(chance: Generator) -> Turns:
    return worked(chance)


def drifting(chance: Generator) -> Turns:
    return worked(chance, drift=0.05)


def spiking(chance: Generator) -> Turns:
    first, second = worked(chance)
    return tuple([s * (3 if chance.random() < 0.1 else 1) for s in side] for side in (first, second))  # type: ignore[return-value]


def bimodal(chance: Generator) -> Turns:
    """Each process is fast or slow for its whole life."""
    return worked(chance, *(1.2 if chance.random() < 0.5 else 1.0 for _ in range(2)))


def favoring_the_first(chance: Generator) -> Turns:
    return worked(chance, second=1.05)


def wild(chance: Generator) -> Turns:
    return worked(chance, first=math.exp(0.01 * chance.standard_t(2)))


NOISES = [steady, drifting, spiking, bimodal, favoring_the_first, wild]


def invented(
    chance: Generator, noise: Callable[[Generator], Turns], pairs: int, slower: float = 0.0
) -> list[float]:
    """Log ratios of pairs whose first side is drawn; head is `slower`."""
    ratios = []
    for _ in range(pairs):
        first, second = noise(chance)
        ratio = pair_log_ratio(first, second)
        ratios.append((ratio if chance.random() < 0.5 else -ratio) + math.log1p(slower))
    return ratios


def alarms(rule: SequentialRule, noise: Callable[[Generator], Turns], gates: int) -> int:
    """How many gates on identical code accuse at least one of their workloads."""
    chance = np.random.default_rng(20261121)
    found = 0
    for _ in range(gates):
        outcomes = [
            decide(rule, invented(chance, noise, rule.max_pairs), is_final=True).outcome
            for _ in range(rule.workloads)
        ]
        found += Outcome.REGRESSED in outcomes
    return found


@pytest.mark.parametrize("noise", NOISES)
def test_false_alarms_stay_below_alpha(noise: Callable[[Generator], Turns]) -> None:
    # Without a tolerance, which would hide most of what could go wrong.
    rule = SequentialRule(workloads=4, alpha=0.1, tolerance=0.0, max_pairs=18)
    assert alarms(rule, noise, gates=50) <= 11  # 5, and three deviations


def test_a_hundredfold_alpha_raises_false_alarms() -> None:
    """The negative control of the test above, at the shipped alpha."""
    shipped = SequentialRule(workloads=4, tolerance=0.0, max_pairs=12)
    assert alarms(shipped, wild, gates=30) <= 2
    assert alarms(replace(shipped, alpha=100 * shipped.alpha), wild, gates=30) > 5


@pytest.mark.parametrize("noise", [steady, drifting, spiking, wild])
def test_a_slowdown_of_five_percent_is_detected(noise: Callable[[Generator], Turns]) -> None:
    chance = np.random.default_rng(7)
    rule = SequentialRule(workloads=8)
    outcomes = [decide(rule, invented(chance, noise, 24, 0.05)).outcome for _ in range(40)]
    assert outcomes.count(Outcome.REGRESSED) >= 38


def test_a_speedup_is_improved() -> None:
    chance = np.random.default_rng(7)
    found = decide(SequentialRule(workloads=8), invented(chance, steady, 24, -0.05))
    assert found.outcome is Outcome.IMPROVED
    assert found.estimate == pytest.approx(-0.05, abs=0.01)


def test_swapped_sides_swap_the_verdict() -> None:
    chance = np.random.default_rng(8)
    ratios = invented(chance, steady, 24, 0.05)
    assert decide(SequentialRule(workloads=8), ratios).outcome is Outcome.REGRESSED
    assert decide(SequentialRule(workloads=8), [-ratio for ratio in ratios]).outcome is Outcome.IMPROVED


def test_a_reversed_comparison_fails_the_test_above() -> None:
    """Head over base, not base over head."""
    assert pair_log_ratio(base=[1.0] * 4, head=[1.1] * 4) > 0


def test_a_slowdown_within_the_tolerance_is_kept() -> None:
    chance = np.random.default_rng(9)
    found = [
        decide(
            SequentialRule(workloads=8), invented(chance, steady, 24, 0.03), tolerance=0.05, is_final=True
        ).outcome
        for _ in range(20)
    ]
    assert found == [Outcome.KEPT] * 20


def test_slow_processes_make_a_workload_unclear_and_not_regressed() -> None:
    chance = np.random.default_rng(10)
    found = decide(SequentialRule(workloads=8), invented(chance, bimodal, 24), is_final=True)
    assert found.outcome is Outcome.UNCLEAR
    assert found.mde > 0.05


def test_quiet_workloads_end_at_the_first_look() -> None:
    chance = np.random.default_rng(11)
    found = [decide(SequentialRule(workloads=20), invented(chance, steady, 6)) for _ in range(40)]
    assert sum(each.outcome is Outcome.KEPT for each in found) >= 38
    assert all(each.mde < 0.05 for each in found if each.outcome is Outcome.KEPT)


def test_four_quiet_pairs_end_a_workload() -> None:
    quiet = [0.004, -0.003, 0.002, -0.004]
    assert decide(SequentialRule(workloads=8), quiet[:3]).outcome is None
    assert decide(SequentialRule(workloads=8), quiet).outcome is Outcome.KEPT


def test_a_pair_that_suggests_a_change_continues_a_workload() -> None:
    """Most of these agree, and a spread that draws in its tails is small."""
    agreeing = [0.001, -0.001, 0.0, 0.001, -0.001]
    assert decide(SequentialRule(workloads=8), agreeing).outcome is Outcome.KEPT
    assert decide(SequentialRule(workloads=8), [0.15, *agreeing]).outcome is None


def test_pairs_that_agree_by_chance_do_not_end_a_workload() -> None:
    """The turns of each say that it may be off by far more than the few scatter."""
    lucky = [0.001, -0.001, 0.0, 0.001]
    found = decide(SequentialRule(workloads=8), lucky, error=0.05)
    assert found.outcome is None
    assert minimum_detectable_effect(SequentialRule(workloads=8), lucky, error=0.05) > 0.05


def test_a_slowdown_of_the_mde_is_detected_nine_times_in_ten() -> None:
    chance = np.random.default_rng(12)
    rule = SequentialRule(workloads=8)
    size = math.expm1(math.log1p(rule.tolerance) + 0.01 * rule.detectable_spreads)
    found = [
        decide(rule, list(chance.normal(math.log1p(size), 0.01, 24)), is_final=True).outcome
        for _ in range(100)
    ]
    assert 82 <= found.count(Outcome.REGRESSED) <= 97


@pytest.mark.parametrize("often", [0.0, 0.15, 0.3, 0.5])
def test_the_mde_after_24_pairs_is_detected_under_rare_disturbances(often: float) -> None:
    """Also where a neighbor disturbs some of them ten times as much as the others."""
    chance = np.random.default_rng(15)
    rule = SequentialRule(workloads=8)
    found = 0
    for _ in range(60):
        pairs = chance.normal(0, 0.01, 24) * np.where(chance.random(24) < often, 10, 1)
        slower = chance.choice([1, -1], 24) * pairs + math.log1p(minimum_detectable_effect(rule, list(pairs)))
        found += decide(rule, list(slower), is_final=True).outcome is Outcome.REGRESSED
    assert found >= 49  # nine in ten are 54, less two deviations


def test_no_pair_beyond_the_last_look_is_requested() -> None:
    assert decide(SequentialRule(workloads=8), [0.0] * 3).outcome is None
    assert decide(SequentialRule(workloads=8), []).outcome is None


@pytest.mark.parametrize("pairs", [0, 1])
def test_fewer_than_two_pairs_are_unclear(pairs: int) -> None:
    assert decide(SequentialRule(workloads=1), [0.0] * pairs, is_final=True).outcome is Outcome.UNCLEAR


@pytest.mark.parametrize("workloads", [1, 8, 20, 100, 1000])
@pytest.mark.parametrize("max_pairs", [6, 12, 24, 60, 120])
def test_the_looks_together_spend_no_more_than_alpha(workloads: int, max_pairs: int) -> None:
    rule = SequentialRule(workloads, max_pairs=max_pairs)
    assert workloads * sum(rule.alpha_by_look.values()) <= rule.alpha * (1 + 1e-9)


def test_many_pairs_find_a_slowdown_of_two_percent_that_few_miss() -> None:
    few = SequentialRule(workloads=8, target_mde=0.02)
    many = replace(few, max_pairs=max_pairs_for(few.target_mde, few.tolerance))
    outcomes: dict[int, list[Outcome | None]] = {few.max_pairs: [], many.max_pairs: []}
    chance = np.random.default_rng(2)
    for _ in range(20):
        pairs = list(chance.normal(math.log1p(0.025), 0.02, many.max_pairs))
        for rule in (few, many):
            outcomes[rule.max_pairs].append(decide(rule, pairs[: rule.max_pairs], is_final=True).outcome)
    assert outcomes[24].count(Outcome.REGRESSED) <= 12
    assert outcomes[120].count(Outcome.REGRESSED) >= 18


@pytest.mark.parametrize(("mde", "tolerance"), [(0.01, 0.01), (0.005, 0.01), (math.nan, 0.01), (0.2, 0.01)])
def test_an_mde_that_is_large_or_refused_later_allows_the_usual_pairs(mde: float, tolerance: float) -> None:
    assert max_pairs_for(mde, tolerance) == 24


def test_too_few_pairs_never_report_a_change() -> None:
    rule = SequentialRule(workloads=1000, max_pairs=12)
    assert rule.min_pairs == 17
    assert rule.detectable_spreads == float("inf")
    found = decide(rule, [5.0 + n for n in range(12)], is_final=True)
    assert found.outcome is Outcome.UNCLEAR


def test_more_noise_means_a_larger_mde() -> None:
    rule = SequentialRule(workloads=8)
    quiet = [0.001, -0.001, 0.002, -0.002, 0.0, 0.001]
    assert minimum_detectable_effect(rule, quiet) < minimum_detectable_effect(
        rule, [10 * ratio for ratio in quiet]
    )


def test_base_that_differs_from_base_makes_the_machine_unfit() -> None:
    assert unfit_workloads({"t": [0.04, 0.05, 0.045, 0.05, 0.048, 0.052]}, 0.01) == ("t",)


@pytest.mark.parametrize(
    "seen",
    [
        [0.04, 0.05, 0.045, 0.05, 0.048],  # too few
        [0.004, 0.005, 0.0045, 0.005, 0.0048, 0.0052],  # too small
        [0.04, 0.05, -0.01, 0.05, 0.048, 0.052],  # not always
        [0.01, 0.3, 0.02, 0.25, 0.1, 0.02],  # no further than they scatter
    ],
)
def test_null_pairs_that_only_scatter_leave_the_machine_fit(seen: list[float]) -> None:
    assert unfit_workloads({"t": seen}, 0.01) == ()


def test_null_pairs_of_noisy_machines_rarely_make_them_unfit() -> None:
    chance = np.random.default_rng(13)
    # Null pairs go first in turn, not by lot: six coins may agree, and a slot is no fault of an arm.
    seen = [
        [sign * pair_log_ratio(*noise(chance)) for sign in (1, -1) * 3]
        for noise in NOISES
        for _ in range(300)
    ]
    assert sum(bool(unfit_workloads({"t": pairs}, 0.01)) for pairs in seen) <= 4
