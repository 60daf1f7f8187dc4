"""Two sides of stored runs, on invented noise: what is claimed of false alarms and of power holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log1p
from typing import Any

import numpy as np
import pytest

from perfsuite.errors import ExitCode, UsageError
from perfsuite.judge import stored_runs
from perfsuite.judge.run_table import build_run_tables
from perfsuite.judge.stored_runs import ComparisonReport, ComparisonSettings, compare_runs
from perfsuite.judge.time_comparison import RunTimes, judge_times
from perfsuite.judge.time_rule import TimeRule
from perfsuite.judge.verdict import Outcome, Verdict, exit_code
from perfsuite.measure.measurement import Environment, Measurement

HERE = Environment({"cpu": "invented", "torch": "2.11", "python": "3.12"}, {"kernel": "6.1"})
WORKLOADS = 20


@dataclass(frozen=True)
class Invented:
    """A run as the judge sees it; the store's own runs look the same."""

    measurements: dict[str, Measurement]
    environment: Environment = HERE
    commit: str = "c0"
    dirty: bool = False
    created_at: str = "2026-08-01T12:00"

    @property
    def seconds_per_item(self) -> dict[str, float]:
        return {
            name: took.median_seconds_per_call / took.items_per_call
            for name, took in self.measurements.items()
            if took.seconds_per_call
        }


def a_run(
    seconds: dict[str, float] | float = 0.01, commit: str = "c0", at: int = 0, **told: object
) -> Invented:
    each = seconds if isinstance(seconds, dict) else {"t": seconds}
    took = {name: Measurement(name, (value,), **told) for name, value in each.items()}  # type: ignore[arg-type]
    return Invented(took, commit=commit, created_at=f"2026-08-01T{at:06d}")


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ((0.01,), (), Outcome.MISSING),
        ((), (0.01,), Outcome.NEW),
        ((), (), Outcome.UNCLEAR),
    ],
)
def test_a_workload_that_a_side_has_and_did_not_time_has_a_verdict(
    old: tuple[float, ...], new: tuple[float, ...], outcome: Outcome
) -> None:
    sides = [
        [Invented({"t": Measurement("t", seconds), "u": Measurement("u", (0.01,))}, created_at=created_at)]
        for seconds, created_at in ((old, "2026-08-01T12:00"), (new, "2026-08-01T12:01"))
    ]
    found = outcomes(compare_runs(sides[0], sides[1]))
    assert found["t"] is outcome
    assert found.keys() == {"t", "u"}


def noisy_runs(
    count: int,
    deviation: float,
    source: random.Random,
    slower: dict[str, float] | None = None,
    commit: str = "c0",
) -> list[Invented]:
    """Runs of one side. Two sides are taken in turns, in random order."""
    names = [f"w{number}" for number in range(WORKLOADS)]
    return [
        a_run(
            {name: 0.01 * exp(source.gauss(0, deviation)) * (slower or {}).get(name, 1.0) for name in names},
            commit,
            at=2 * number + source.randrange(2),
        )
        for number in range(count)
    ]


def judge_one(
    old: Sequence[float],
    new: Sequence[float],
    rule: TimeRule,
    past: Sequence[float] = (),
    in_turns: bool = True,
) -> Verdict:
    """The verdict on one workload, from log times."""
    moments = [f"{number:04d}" for number in range(len(old) + len(new))]
    turns = moments[::2], moments[1::2]
    blocks = moments[: len(old)], moments[len(old) :]
    moments_old, moments_new = turns if in_turns else blocks
    times = RunTimes(
        workloads=("t",),
        old=np.array(old)[:, None],
        new=np.array(new)[:, None],
        moments_old=tuple(moments_old),
        moments_new=tuple(moments_new),
        past=np.array([*past, np.median(old), np.median(new)])[:, None],
    )
    (verdict,) = judge_times(times, rule).verdicts
    return verdict


def rule_of(alpha: float = 0.01, tolerance: float = 0.01, target_mde: float = 0.05) -> TimeRule:
    return TimeRule(alpha, (tolerance,), target_mde)


def outcomes(found: ComparisonReport) -> dict[str, Outcome]:
    return {each.workload: each.outcome for each in found.verdicts if each.metric == "time"}


def false_alarms(
    comparisons: int, history: int, each_side: int, settings: ComparisonSettings, seed: int = 1
) -> float:
    """The share of comparisons of equal code in which any of the workloads is called slower."""
    source, alarms = random.Random(seed), 0
    for _ in range(comparisons):
        past = [run for n in range(history) for run in noisy_runs(1, 0.02, source, commit=f"h{n}")]
        old, new = (noisy_runs(each_side, 0.02, source) for _ in range(2))
        found = compare_runs(old, new, past, settings)
        alarms += Outcome.REGRESSED in {each.outcome for each in found.verdicts}
    return alarms / comparisons


# Nothing but the test itself holds false alarms down.
EAGER = ComparisonSettings(tolerance=0.0, target_mde=0.99)
CASES = {"five runs a side": (0, 5), "a run a side and a history": (20, 1)}


@pytest.mark.parametrize(("history", "each_side"), CASES.values(), ids=CASES.keys())
def test_false_alarms_stay_within_alpha(history: int, each_side: int) -> None:
    # 5 %, so that 400 comparisons are enough.
    settings = replace(EAGER, alpha=0.05)
    # P(share > 0.08) of 400 is under 0.6 % where the truth is 0.05.
    assert false_alarms(400, history, each_side, settings) <= 0.08


@pytest.mark.parametrize(("history", "each_side"), CASES.values(), ids=CASES.keys())
def test_a_hundredfold_alpha_fails_the_test_above(history: int, each_side: int) -> None:
    """The negative control: were alpha ignored or not divided, the test above would be red."""
    assert false_alarms(60, history, each_side, replace(EAGER, alpha=5.0)) > 0.5
    assert false_alarms(150, history, each_side, replace(EAGER, alpha=0.05 * WORKLOADS)) > 0.2


def test_only_the_planted_slowdown_of_a_tenth_is_reported() -> None:
    source = random.Random(3)
    found = [
        outcomes(compare_runs(noisy_runs(5, 0.01, source), noisy_runs(5, 0.01, source, {"w7": 1.1})))
        for _ in range(40)
    ]
    assert sum(each["w7"] is Outcome.REGRESSED for each in found) >= 38
    assert all(set(each.values()) <= {Outcome.KEPT, Outcome.UNCLEAR, Outcome.REGRESSED} for each in found)
    assert sum(list(each.values()).count(Outcome.REGRESSED) for each in found) <= 41


def test_swapped_sides_turn_a_regression_into_an_improvement() -> None:
    source = random.Random(4)
    old, new = noisy_runs(5, 0.01, source), noisy_runs(5, 0.01, source, {"w7": 1.1})
    assert outcomes(compare_runs(old, new))["w7"] is Outcome.REGRESSED
    assert outcomes(compare_runs(new, old))["w7"] is Outcome.IMPROVED


def test_swapped_sides_in_the_judge_fail_the_test_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above: a judge that confuses its sides calls it improved."""
    monkeypatch.setattr(
        stored_runs,
        "build_run_tables",
        lambda names, old, new, past, renames: build_run_tables(names, new, old, past, renames),
    )
    source = random.Random(4)
    old, new = noisy_runs(5, 0.01, source), noisy_runs(5, 0.01, source, {"w7": 1.1})
    assert outcomes(compare_runs(old, new))["w7"] is Outcome.IMPROVED


def test_a_slowdown_of_the_mde_is_detected_with_the_stated_power() -> None:
    """A slowdown of the size that was promised is found about as often as promised (90 %)."""
    source, rule = random.Random(5), rule_of(target_mde=0.99)
    found, tried = 0, 300
    for _ in range(tried):
        old, new = ([source.gauss(0, 0.02) for _ in range(8)] for _ in range(2))
        mde = judge_one([source.gauss(0, 0.02) for _ in range(8)], new, rule).mde
        assert mde is not None
        found += judge_one(old, [value + log1p(mde) for value in new], rule).outcome is Outcome.REGRESSED
    assert found / tried > 0.85


def test_samples_of_one_run_are_no_replicates() -> None:
    """Two runs with thousands of samples that agree to a hair, 10 % apart: who knows."""
    one = Invented({"t": Measurement("t", (0.01,) * 5000)})
    other = Invented({"t": Measurement("t", (0.011,) * 5000)})
    found = compare_runs([one], [other])
    assert outcomes(found) == {"t": Outcome.UNCLEAR}
    assert "take 4 more runs of each side, in turns" in found.verdicts[0].reason
    assert exit_code(found.verdicts) == ExitCode.UNCLEAR


def test_an_unclear_verdict_states_a_sufficient_number_of_runs() -> None:
    source, rule = random.Random(6), rule_of()
    old, new = ([source.gauss(0, 0.02) for _ in range(5)] for _ in range(2))
    found = judge_one(old, new, rule)
    assert found.outcome is Outcome.UNCLEAR
    more = int(found.reason.split("take ")[1].split()[0])

    def side() -> list[float]:
        return [source.gauss(0, 0.02) for _ in range(5 + more)]

    enough = [judge_one(side(), side(), rule).outcome for _ in range(100)]
    assert enough.count(Outcome.UNCLEAR) < 60


def test_runs_that_differ_too_much_refer_to_the_gate() -> None:
    found = judge_one([0.0, 0.9, -0.8, 0.7, -0.2], [0.1, -0.7, 0.8, -0.6, 0.3], rule_of())
    assert found.outcome is Outcome.UNCLEAR
    assert "perfsuite gate" in found.reason


def test_a_significant_slowdown_within_the_tolerance_is_kept() -> None:
    old, new = [0.0] * 5, [0.009] * 5
    assert judge_one(old, new, rule_of()).outcome is Outcome.KEPT
    assert judge_one(old, new, rule_of(tolerance=0.005)).outcome is Outcome.REGRESSED


@pytest.mark.parametrize(
    ("runs", "needed"), [((1, 1), 4), ((3, 3), 2), ((4, 4), 1), ((1, 10), 2), ((4, 1), 3)]
)
def test_too_few_runs_say_how_many_are_missing(runs: tuple[int, int], needed: int) -> None:
    found = judge_one([0.0] * runs[0], [1.0] * runs[1], rule_of())
    assert found.outcome is Outcome.UNCLEAR
    assert f"take {needed} more run" in found.reason


def test_a_marker_may_set_the_tolerance_of_one_workload() -> None:
    old, new = ([a_run({"a": s, "b": s}) for _ in range(5)] for s in (0.01, 0.0105))
    found = compare_runs(old, new, settings=ComparisonSettings(tolerances={"b": 0.1}))
    assert outcomes(found) == {"a": Outcome.REGRESSED, "b": Outcome.KEPT}


def test_different_hard_facts_are_unclear_and_both_values_are_named() -> None:
    there = replace(HERE, hard={**HERE.hard, "cpu": "other"})
    found = compare_runs([a_run()] * 5, [replace(a_run(0.02), environment=there)] * 5)
    assert outcomes(found) == {"t": Outcome.UNCLEAR}
    assert "cpu invented against other" in found.verdicts[0].reason


def test_different_soft_facts_only_warn() -> None:
    there = replace(HERE, soft={"kernel": "6.9"})
    found = compare_runs([a_run()] * 5, [replace(a_run(), environment=there)] * 5)
    assert outcomes(found) == {"t": Outcome.KEPT}
    assert "kernel differs: 6.1 against 6.9" in found.warnings


@pytest.mark.parametrize(("key", "compared"), [("cpu", True), ("torch", False), ("python", False)])
def test_counters_travel_between_machines_of_the_same_torch_and_python(key: str, compared: bool) -> None:
    there = replace(HERE, hard={**HERE.hard, key: "9.9"})
    old = a_run(counters={"casts": 2})
    new = replace(a_run(counters={"casts": 3}), environment=there)
    found = {each.metric: each.outcome for each in compare_runs([old], [new]).verdicts}
    assert (found.get("casts") is Outcome.REGRESSED) == compared


def test_a_counter_that_is_not_constant_on_one_side_is_shown_and_does_not_judge() -> None:
    """It may depend on the process, and then differ between any two of them."""
    old = [a_run(counters={"casts": casts, "copies": 1}) for casts in (2, 2, 3)]
    new = [a_run(counters={"casts": 4, "copies": 2})] * 3
    found = {each.metric: each for each in compare_runs(old, new).verdicts}
    assert found["casts"].outcome is Outcome.VARIES
    assert found["copies"].outcome is Outcome.REGRESSED
    assert found["copies"].reason == "1 -> 2 (+1), exact, the same in 3 runs of each side"


def test_a_counter_of_single_runs_says_that_it_was_counted_once() -> None:
    old, new = (a_run(counters={"casts": casts}) for casts in (2, 3))
    found = {each.metric: each for each in compare_runs([old], [new]).verdicts}
    assert found["casts"].reason == "2 -> 3 (+1), exact, in one run"


def test_missing_and_new_workloads_are_findings() -> None:
    found = compare_runs([a_run({"a": 1.0, "b": 1.0})] * 5, [a_run({"a": 1.0, "c": 1.0})] * 5)
    assert outcomes(found) == {"a": Outcome.KEPT, "b": Outcome.MISSING, "c": Outcome.NEW}
    assert exit_code(found.verdicts) == ExitCode.NOT_COMPARED


def test_a_renamed_workload_is_compared_and_brings_its_history() -> None:
    past = [a_run({"old": 1.0}, f"h{number}", number) for number in range(100)]
    settings = ComparisonSettings(renames={"old": "new"})
    found = compare_runs([a_run({"old": 1.0})], [a_run({"new": 1.2})], past, settings)
    assert outcomes(found) == {"new": Outcome.REGRESSED}


def test_nothing_in_common_is_never_green() -> None:
    assert exit_code(compare_runs([a_run({})], [a_run({})]).verdicts) == ExitCode.NOT_COMPARED
    assert exit_code(compare_runs([a_run({})], [a_run({"t": 1.0})]).verdicts) == ExitCode.NOT_COMPARED


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_zero_seconds_are_unclear(before: float, after: float) -> None:
    assert outcomes(compare_runs([a_run(before)] * 5, [a_run(after)] * 5)) == {"t": Outcome.UNCLEAR}


def test_tiny_times_are_judged_like_others() -> None:
    assert outcomes(compare_runs([a_run(1e-300)] * 5, [a_run(2e-300)] * 5)) == {"t": Outcome.REGRESSED}


def test_seconds_are_compared_per_item_and_never_across_units() -> None:
    old = [a_run(0.32, items_per_call=32.0, unit="images")] * 5
    twice_the_batch = [a_run(0.64, items_per_call=64.0, unit="images")] * 5
    assert outcomes(compare_runs(old, twice_the_batch)) == {"t": Outcome.KEPT}
    batches = [a_run(0.32, items_per_call=1.0, unit="batches")] * 5
    assert outcomes(compare_runs(old, batches)) == {"t": Outcome.UNCLEAR}


def test_a_workload_that_was_only_counted_is_judged_by_its_counters() -> None:
    old, new = (Invented({"t": Measurement("t", (), counters={"casts": n})}) for n in (2, 3))
    found = compare_runs([old], [new])
    assert [(each.metric, each.outcome) for each in found.verdicts] == [("casts", Outcome.REGRESSED)]
    assert exit_code(found.verdicts) == ExitCode.REGRESSED


def test_sides_taken_in_blocks_warn_until_the_history_shows_the_drift() -> None:
    old, new = [a_run(at=1)] * 5, [a_run(at=9)] * 5
    assert any("drift" in each for each in compare_runs(old, new).warnings)
    turns = compare_runs([a_run(at=n) for n in (1, 4, 5)], [a_run(at=n) for n in (2, 3, 6)])
    assert not any("drift" in each for each in turns.warnings)
    past = [a_run(0.01, f"h{number}", number) for number in range(98)]
    assert any("drift" in each for each in compare_runs(old, new, past).warnings)
    past.append(a_run(0.01, "h98", 98))
    assert not any("drift" in each for each in compare_runs(old, new, past).warnings)


def test_a_change_between_two_blocks_is_unclear_and_names_the_remedies() -> None:
    old, new = [a_run(0.01, at=n) for n in range(5)], [a_run(0.02, at=9 + n) for n in range(5)]
    (found,) = compare_runs(old, new).verdicts
    assert found.outcome is Outcome.UNCLEAR
    assert found.reason.startswith("2.000 times as long, but one side is older than the other")
    assert "take 5 runs of each side in turns, or store 99 commits (the history has 0)" in found.reason
    steady = [a_run(0.01, f"h{number}", number) for number in range(99)]
    assert outcomes(compare_runs(old, new, steady)) == {"t": Outcome.REGRESSED}
    assert outcomes(compare_runs(new, old, steady)) == {"t": Outcome.IMPROVED}


def test_two_blocks_without_a_change_are_kept_with_the_warning() -> None:
    found = compare_runs([a_run(at=n) for n in range(5)], [a_run(at=9 + n) for n in range(5)])
    assert outcomes(found) == {"t": Outcome.KEPT}
    assert any("drift may hide one" in each for each in found.warnings)


def test_an_outlier_in_the_history_does_not_hide_a_change() -> None:
    source = random.Random(8)
    past = [a_run(0.01 * exp(source.gauss(0, 0.01)), f"h{number}", number) for number in range(250)]
    past[11] = a_run(0.05, "h11", 11)
    old, new = ([a_run(0.01 * f * exp(source.gauss(0, 0.01)), at=at)] for f, at in ((1.0, 300), (1.15, 301)))
    assert outcomes(compare_runs(old, new, past)) == {"t": Outcome.REGRESSED}


def test_a_slow_history_hides_a_change_that_it_has_seen_before() -> None:
    """The negative control: commits of the past that differ by as much are why the change is not certain."""
    source = random.Random(8)
    past = [a_run(0.01 * exp(source.gauss(0, 0.15)), f"h{number}", number) for number in range(250)]
    assert outcomes(compare_runs([a_run(0.01, at=300)], [a_run(0.0115, at=301)], past)) == {
        "t": Outcome.UNCLEAR
    }


def test_one_slow_run_among_many_does_not_make_a_side_slow() -> None:
    source = random.Random(9)
    old, new = ([a_run(0.01 * exp(source.gauss(0, 0.005))) for _ in range(6)] for _ in range(2))
    new[2] = a_run(0.03)
    assert outcomes(compare_runs(old, new))["t"] in {Outcome.KEPT, Outcome.UNCLEAR}


def test_workloads_that_some_runs_lack_are_judged_by_the_runs_that_have_them() -> None:
    old = [a_run({"a": 0.01, "b": 0.01} if n else {"a": 0.01}, at=2 * n) for n in range(6)]
    new = [a_run({"a": 0.01, "b": 0.02}, at=2 * n + 1) for n in range(6)]
    assert outcomes(compare_runs(old, new)) == {"a": Outcome.KEPT, "b": Outcome.REGRESSED}


def alarms_of_one_workload(in_turns: bool, evenings_known: int, comparisons: int = 400) -> float:
    """Equal code, five runs a side, each on an evening of its own; evenings differ twice as much as runs."""
    source, rule, alarms = random.Random(10), rule_of(tolerance=0.0, target_mde=0.99), 0

    def evening(runs: int) -> list[float]:
        level = source.gauss(0, 0.02)
        return [level + source.gauss(0, 0.01) for _ in range(runs)]

    for _ in range(comparisons):
        past = [evening(1)[0] for _ in range(evenings_known)]
        found = judge_one(evening(5), evening(5), rule, past, in_turns)
        alarms += found.outcome is Outcome.REGRESSED
    return alarms / comparisons


@pytest.mark.parametrize("evenings_known", [0, 120])
def test_drift_between_evenings_is_no_change(evenings_known: int) -> None:
    # P(share > 0.025) of 400 is under 0.3 % where the truth is 0.01.
    assert alarms_of_one_workload(in_turns=False, evenings_known=evenings_known) <= 0.025


def test_a_judge_that_takes_evenings_for_turns_fails_the_test_above() -> None:
    assert alarms_of_one_workload(in_turns=True, evenings_known=0) > 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, True, "0.05"])
@pytest.mark.parametrize("name", ["alpha", "tolerance", "target_mde", "power"])
def test_settings_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name}: "):
        ComparisonSettings(**{name: value})
    with pytest.raises(UsageError, match="tolerance of t: "):
        ComparisonSettings(tolerances={"t": value})
