"""A difference of counters is accused only if fresh processes confirm it.

The chance of a false accusation is computed exactly, by trying every sequence of the coins that decide which
side starts first. The oracle is this enumeration; it uses no formula of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import pytest

from perfsuite.judge.counter_confirmation import (
    MAX_LOST_PAIRS,
    Confirmation,
    CountedPair,
    CounterDifference,
    apply_confirmation,
    confirm_differences,
    find_differences,
)
from perfsuite.judge.counter_diff import CounterDiff, compare_counters
from perfsuite.judge.verdict import Outcome
from perfsuite.measure.counters.family import Direction

ALPHA = 0.05  # 5 pairs for one order
DIRECTIONS = {"casts": Direction.LESS_IS_BETTER}


def candidate(workload: str = "t") -> CounterDifference:
    return CounterDifference(workload, "casts", base=0, head=1)


def pair(first_is_base: bool, by_workload: dict[str, tuple[int, int]]) -> CountedPair:
    """A pair in which the first and the second process of each workload count these values, twice."""
    first, second = ("base", "head") if first_is_base else ("head", "base")
    counts = {
        name: {first: [{"casts": values[0]}] * 2, second: [{"casts": values[1]}] * 2}
        for name, values in by_workload.items()
    }
    return CountedPair(first, counts)


def run(
    candidates: Sequence[CounterDifference],
    coins: Sequence[bool],
    slots: Sequence[dict[str, tuple[int, int]]],
    alpha: float = ALPHA,
) -> Confirmation:
    """Add pairs until the rule has decided, as the gate does."""
    pairs: list[CountedPair] = []
    result = confirm_differences(candidates, pairs, alpha)
    for is_base, values in zip(coins, slots, strict=True):
        if result.is_finished:
            break
        pairs.append(pair(is_base, values))
        result = confirm_differences(candidates, pairs, alpha)
    return result


PAIRS = 9
Slots = list[dict[str, tuple[int, int]]]
NAMES = [f"w{number}" for number in range(4)]
# What the first and the second process of each pair count if both sides run the same code.
SAME_CODE: dict[str, Slots] = {
    "the first process is special": [dict.fromkeys(NAMES, (0, 1))] * PAIRS,
    "alternating between pairs": [
        dict.fromkeys(NAMES, (number % 2, 1 - number % 2)) for number in range(PAIRS)
    ],
    "another order in every workload": [
        {name: (place >> number & 1, 1 - (place >> number & 1)) for place, name in enumerate(NAMES)}
        for number in range(PAIRS)
    ],
    "sometimes equal": [
        {name: ((number + place) % 3 // 2, 1) for place, name in enumerate(NAMES)} for number in range(PAIRS)
    ],
    "more than two values": [dict.fromkeys(NAMES, (number, number + 1)) for number in range(PAIRS)],
    "constant": [dict.fromkeys(NAMES, (1, 1))] * PAIRS,
}


@pytest.mark.parametrize("slots", SAME_CODE.values(), ids=SAME_CODE)
def test_equal_code_is_accused_at_most_as_often_as_promised(slots: Slots) -> None:
    candidates = [candidate(name) for name in NAMES]
    accused = sum(
        bool(run(candidates, coins, slots).confirmed) for coins in product((True, False), repeat=PAIRS)
    )
    assert accused / 2**PAIRS <= ALPHA


@pytest.mark.parametrize("slots", SAME_CODE.values(), ids=SAME_CODE)
def test_a_true_change_beside_them_is_always_found_and_accuses_no_other(slots: Slots) -> None:
    """The true change shows base's value on base, so its order is the coin's."""
    changed = candidate("changed")
    candidates = [changed, *(candidate(name) for name in NAMES)]
    others_accused = 0
    for coins in product((True, False), repeat=PAIRS):
        with_change = [
            {**values, "changed": (0, 1) if is_base else (1, 0)}
            for is_base, values in zip(coins, slots, strict=True)
        ]
        result = run(candidates, coins, with_change)
        assert changed in result.confirmed
        others_accused += bool(result.confirmed - {changed})
    assert others_accused / 2**PAIRS <= ALPHA


def test_negative_control_without_confirmation_equal_code_is_accused_every_time() -> None:
    diff = compare_counters("t", [{"casts": 0}] * 2, [{"casts": 1}] * 2, DIRECTIONS)
    assert [verdict.outcome for verdict in diff.changed] == [Outcome.REGRESSED]


def test_negative_control_a_rule_without_the_coin_accuses_a_special_first_process() -> None:
    """If base always started first, its process would always be the special one."""
    slots = SAME_CODE["the first process is special"]
    assert run([candidate("w0")], [True] * PAIRS, slots).confirmed


@pytest.mark.parametrize(("alpha", "pairs"), [(0.5, 1), (0.05, 5), (0.0025, 9), (0.001, 10)])
def test_a_change_needs_as_many_pairs_as_coins_make_it_unlikely(alpha: float, pairs: int) -> None:
    agreeing = [pair(True, {"t": (0, 1)})] * pairs
    assert confirm_differences([candidate()], agreeing, alpha).confirmed == {candidate()}
    early = confirm_differences([candidate()], agreeing[:-1], alpha)
    assert (early.confirmed, early.missing_pairs) == (frozenset(), 1)


def test_many_counters_that_changed_together_need_no_more_pairs_than_one() -> None:
    candidates = [candidate(f"w{number}") for number in range(1000)]
    values = {each.workload: (0, 1) for each in candidates}
    assert len(confirm_differences(candidates, [pair(True, values)] * 5, ALPHA).confirmed) == 1000


@pytest.mark.parametrize(
    "values",
    [(0, 0), (1, 1), (1, 0), (0, 2), (7, 1)],
    ids=["head as base", "base as head", "swapped", "a new value on head", "a new value on base"],
)
def test_one_contradicting_process_ends_the_accusation(values: tuple[int, int]) -> None:
    pairs = [*[pair(True, {"t": (0, 1)})] * 4, pair(True, {"t": values})]
    result = confirm_differences([candidate()], pairs, ALPHA)
    assert result.is_finished
    assert result.varying == {candidate(): tuple(sorted({0, 1, *values}))}


def test_a_process_whose_equal_calls_differ_ends_the_accusation() -> None:
    erratic = CountedPair("base", {"t": {"base": [{"casts": 0}] * 2, "head": [{"casts": 1}, {"casts": 2}]}})
    assert confirm_differences([candidate()], [erratic], ALPHA).varying == {candidate(): (0, 1, 2)}


def test_a_pair_that_did_not_count_proves_nothing_and_too_many_lose_the_workload() -> None:
    lost_pair = CountedPair("head", {})
    agreeing = [pair(True, {"t": (0, 1)})] * 4
    assert confirm_differences([candidate()], [*agreeing, lost_pair], ALPHA).open == {candidate()}
    assert confirm_differences([candidate()], [*agreeing, lost_pair, agreeing[0]], ALPHA).confirmed
    many = [*agreeing[:2], *[lost_pair] * (MAX_LOST_PAIRS + 1)]
    assert confirm_differences([candidate()], many, ALPHA).lost == {candidate()}


def diff_of(confirm: Callable[[CounterDifference], Confirmation], base: int, head: int) -> CounterDiff:
    diff = compare_counters("t", [{"casts": base}], [{"casts": head}], DIRECTIONS)
    [difference] = find_differences("t", diff)
    return apply_confirmation("t", diff, confirm(difference), DIRECTIONS)


@pytest.mark.parametrize(("base", "head", "outcome"), [(1, 2, Outcome.REGRESSED), (2, 1, Outcome.IMPROVED)])
def test_a_confirmed_change_has_its_direction(base: int, head: int, outcome: Outcome) -> None:
    diff = diff_of(lambda each: Confirmation(confirmed=frozenset({each}), pairs=9), base, head)
    [verdict] = diff.changed
    assert verdict.outcome is outcome
    assert verdict.reason == f"{base} -> {head} ({head - base:+})"
    assert verdict.evidence == "the same in 10 pairs of fresh processes"
    assert diff.stable == {"casts": (base, head)}


def test_a_varying_counter_is_shown_and_does_not_gate() -> None:
    diff = diff_of(lambda each: Confirmation(varying={each: (1, 2, 7)}), 1, 2)
    [verdict] = diff.verdicts("t")
    assert verdict.outcome is Outcome.VARIES
    assert verdict.is_green
    assert verdict.reason == "differs between runs of the same code (1, 2, 7): shown, does not gate"


@pytest.mark.parametrize(
    ("status", "reason"), [("open", "allow more time"), ("lost", "ended before it was counted again")]
)
def test_what_could_not_be_confirmed_is_unclear_and_says_why(status: str, reason: str) -> None:
    diff = diff_of(lambda each: Confirmation(**{status: frozenset({each})}), 1, 2)  # type: ignore[arg-type]
    [verdict] = diff.changed
    assert verdict.outcome is Outcome.UNCLEAR
    assert reason in verdict.evidence


def test_what_one_side_could_not_count_and_the_kernels_outlive_the_confirmation() -> None:
    directions = {"kernel_launches": Direction.LESS_IS_BETTER, "memsets": Direction.LESS_IS_BETTER}
    base, head = {"kernel_launches": 1, "memsets": 1}, {"kernel_launches": 2, "kernel: add": 1}
    diff = compare_counters("t", [base], [head], directions)
    [difference] = find_differences("t", diff)
    confirmation = Confirmation(confirmed=frozenset({difference}), pairs=9)
    confirmed = apply_confirmation("t", diff, confirmation, directions)
    [changed], [one_sided] = confirmed.changed, confirmed.one_sided
    assert changed.evidence.endswith("10 pairs of fresh processes; kernels: +1 add")
    assert (one_sided.metric, one_sided.outcome) == ("memsets", Outcome.UNCLEAR)
