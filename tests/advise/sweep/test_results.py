"""The knee, what must hold and what is advised, on invented turns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.results import (
    BatchWaitTimes,
    LoaderSetting,
    RelativeSpeed,
    SettingResult,
    SweepReport,
    check_targets,
)
from perfsuite.judge.verdict import Outcome

STEADY = (1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999)
ROUGH = (1.0, 1.3, 0.8, 1.1, 0.7, 1.2, 0.9, 1.05)
NOISE_OF_ANOTHER = (0.8, 1.0, 1.2, 0.7, 1.1, 0.9, 1.3, 1.0)


def seen(workers: int, seconds: float, noise: tuple[float, ...] = STEADY, **more: object) -> SettingResult:
    took = tuple(seconds * each for each in noise)
    return SettingResult(LoaderSetting(workers, 2, "threads" if workers else "inline"), took, **more)  # type: ignore[arg-type]


def sweep(*settings: SettingResult, **more: object) -> SweepReport:
    return SweepReport(32, settings, **more)  # type: ignore[arg-type]


def workers_chosen(found: SweepReport) -> tuple[int, bool]:
    choice = found.choice()
    return choice.seen.setting.workers, choice.is_clear


def test_the_knee_is_where_growth_stops_and_not_the_noisy_maximum() -> None:
    # 12.34, 24.56, 32.18 and 31.94 batches a second, and 8 that happens to be 1 % above
    found = sweep(seen(0, 1 / 12.34), seen(2, 1 / 24.56), seen(4, 1 / 32.18), seen(8, 1 / 32.50))
    assert found.fastest.setting.workers == 8
    assert workers_chosen(found) == (4, True)


def test_growth_to_the_end_takes_the_most_and_says_to_try_more() -> None:
    found = sweep(seen(0, 0.008), seen(2, 0.004), seen(4, 0.002))
    assert workers_chosen(found) == (4, True)
    assert "--workers 4 8" in " ".join(advise_on_sweep(found))


def test_workers_that_do_not_pay_are_not_taken() -> None:
    found = sweep(seen(0, 0.002), seen(2, 0.0022), seen(4, 0.003))
    assert workers_chosen(found) == (0, True)
    told = " ".join(advise_on_sweep(found))
    assert "set num_workers=0" in told
    assert "do not pay here" in told
    assert "more workers are slower here" in told


def test_overlapping_intervals_are_unclear_and_all_in_doubt_are_named() -> None:
    found = sweep(seen(0, 0.008), seen(2, 0.00205, ROUGH), seen(4, 0.00195, NOISE_OF_ANOTHER))
    choice = found.choice()
    assert (choice.seen.setting.workers, choice.is_clear) == (2, False)
    assert [other.setting.workers for other in choice.undecided] == [4]
    told = " ".join(advise_on_sweep(found))
    assert "unclear: 2 threads +2, 4 threads +2" in told
    assert "--seconds" in told
    assert "set num" not in told


def test_drift_that_all_share_leaves_the_choice_clear() -> None:
    drift = tuple(1.0 + 0.1 * block for block in range(8))
    found = sweep(seen(0, 0.004, drift), seen(2, 0.002, drift), seen(4, 0.00199, drift))
    assert workers_chosen(found) == (2, True)


@pytest.mark.parametrize("blocks", [1, 7])
def test_too_few_turns_choose_nothing_for_sure(blocks: int) -> None:
    found = sweep(seen(0, 0.004, STEADY[:blocks]), seen(2, 0.002, STEADY[:blocks]))
    assert found.relative_speed(found.seen[0]) is RelativeSpeed.UNCLEAR
    assert not found.choice().is_clear


def test_of_equally_many_workers_the_faster_engine_is_taken() -> None:
    slow = replace(seen(2, 0.00203), setting=LoaderSetting(2, 2, "processes"))
    found = sweep(seen(0, 0.004), slow, seen(2, 0.002))
    assert found.choice().seen.setting.engine == "threads"


def test_fewer_batches_ahead_are_taken_where_they_are_as_fast() -> None:
    ahead = replace(seen(2, 0.00199), setting=LoaderSetting(2, 8, "threads"))
    assert sweep(seen(0, 0.004), ahead, seen(2, 0.002)).choice().seen.setting.prefetch_factor == 2


def outcomes(found: SweepReport) -> dict[tuple[str, float | None], Outcome]:
    told = check_targets(found, found.choice().seen)
    return {(verdict.metric, verdict.bound): verdict.outcome for verdict in told}


def test_targets_are_kept_broken_or_unclear_by_the_whole_interval() -> None:
    plain = tuple(0.00075 * each for each in STEADY)
    one = seen(2, 0.001, plain_seconds_per_image=plain, batch_seconds=(0.05,) * 2000)
    told = outcomes(sweep(seen(0, 0.0021), one, is_reproducible=True, mean=0.02, std=0.98))
    assert told == {
        ("images_per_second", 50): Outcome.KEPT,
        ("batches_per_second", 10): Outcome.KEPT,
        ("p99", 0.1): Outcome.KEPT,
        ("overhead", 0.3): Outcome.BROKEN,
        ("overhead", 0.2): Outcome.BROKEN,
        ("speedup", 1): Outcome.KEPT,
        ("normalized", None): Outcome.KEPT,
        ("repeats", None): Outcome.KEPT,
    }


def test_each_target_can_be_broken() -> None:
    plain = tuple(0.04 * each for each in STEADY)
    broken = seen(0, 0.05, plain_seconds_per_image=plain, batch_seconds=(0.05, 1.6) * 1000)
    told = outcomes(sweep(broken, is_reproducible=False, mean=120.0, std=60.0))
    kept = [what for what, outcome in told.items() if outcome is not Outcome.BROKEN]
    assert kept == [("overhead", 0.3)]


def test_an_unclear_target_says_which_option_tells_more() -> None:
    found = sweep(seen(0, 1 / 50, ROUGH))
    unclear = [
        verdict for verdict in check_targets(found, found.seen[0]) if verdict.outcome is Outcome.UNCLEAR
    ]
    assert unclear
    assert all(verdict.reason.endswith("; give more --seconds") for verdict in unclear)


def test_costly_augmentation_comes_with_what_to_do_about_it() -> None:
    plain = tuple(0.001 * each for each in STEADY)
    costly = sweep(seen(0, 0.002, plain_seconds_per_image=plain))
    assert "augmentation costs 100%" in " ".join(advise_on_sweep(costly))
    cheap = sweep(seen(0, 0.0011, plain_seconds_per_image=plain))
    assert "augmentation" not in " ".join(advise_on_sweep(cheap))


def test_batch_times_of_one_batch_have_no_deviation() -> None:
    assert BatchWaitTimes.of([0.5]) == BatchWaitTimes(0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5)
    times = BatchWaitTimes.of([float(ms) for ms in range(1, 101)])
    assert (times.minimum, times.mean, times.maximum, times.p50) == (1, 50.5, 100, 50.5)
    assert times.p90 < times.p95 < times.p99 < times.maximum
