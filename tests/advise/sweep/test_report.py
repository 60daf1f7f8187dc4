"""The choice of a setting, the goals and the advice, on invented turns."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest

from perfsuite.advise.machine import MachineFacts
from perfsuite.advise.sweep.advice import advise_on_sweep
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import RelativeSpeed, SweepReport
from perfsuite.advise.sweep.setting_result import BatchWaitTimes, HostMemory, SettingResult
from perfsuite.judge.verdict import Outcome

STEADY = (1.0, 1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999)
ROUGH = (1.0, 1.3, 0.8, 1.1, 0.7, 1.2, 0.9, 1.05)
OTHER_ROUGH = (0.8, 1.0, 1.2, 0.7, 1.1, 0.9, 1.3, 1.0)


def setting_result(
    workers: int, seconds: float, noise: tuple[float, ...] = STEADY, **more: object
) -> SettingResult:
    times = tuple(seconds * factor for factor in noise)
    return SettingResult(LoaderSetting(workers, 2, "threads" if workers else "inline"), times, **more)  # type: ignore[arg-type]


def sweep(*settings: SettingResult, **more: object) -> SweepReport:
    return SweepReport(32, settings, **more)  # type: ignore[arg-type]


def workers_chosen(report: SweepReport) -> tuple[int, bool]:
    choice = report.choice()
    return choice.result.setting.num_workers, choice.is_clear


def test_the_knee_is_where_growth_stops_not_the_noisy_maximum() -> None:
    # 12.34, 24.56, 32.18 and 31.94 batches a second, and 8 that happens to be 1 % above
    report = sweep(
        setting_result(0, 1 / 12.34),
        setting_result(2, 1 / 24.56),
        setting_result(4, 1 / 32.18),
        setting_result(8, 1 / 32.50),
    )
    assert report.fastest.setting.num_workers == 8
    assert workers_chosen(report) == (4, True)


def test_growth_to_the_end_chooses_the_most_workers_and_advises_more() -> None:
    report = sweep(setting_result(0, 0.008), setting_result(2, 0.004), setting_result(4, 0.002))
    assert workers_chosen(report) == (4, True)
    assert "--num-workers 4 8" in " ".join(advise_on_sweep(report))


def test_workers_that_do_not_pay_off_are_not_chosen() -> None:
    report = sweep(setting_result(0, 0.002), setting_result(2, 0.0022), setting_result(4, 0.003))
    assert workers_chosen(report) == (0, True)
    text = " ".join(advise_on_sweep(report))
    assert "set num_workers=0" in text
    assert "do not pay off here" in text
    assert "more workers are slower here" in text


def test_overlapping_intervals_are_unclear_and_every_candidate_is_named() -> None:
    report = sweep(
        setting_result(0, 0.008), setting_result(2, 0.00205, ROUGH), setting_result(4, 0.00195, OTHER_ROUGH)
    )
    choice = report.choice()
    assert (choice.result.setting.num_workers, choice.is_clear) == (2, False)
    assert [other.setting.num_workers for other in choice.undecided] == [4]
    text = " ".join(advise_on_sweep(report))
    assert "unclear: the turns do not separate 2 threads +2, 4 threads +2" in text
    assert "--seconds" in text
    assert "set num" not in text


def test_drift_common_to_all_settings_leaves_the_choice_clear() -> None:
    drift = tuple(1.0 + 0.1 * block for block in range(8))
    report = sweep(
        setting_result(0, 0.004, drift), setting_result(2, 0.002, drift), setting_result(4, 0.00199, drift)
    )
    assert workers_chosen(report) == (2, True)


def test_the_choice_follows_paired_ratios_and_not_unpaired_medians() -> None:
    """A machine that changes its speed: by medians 0 workers are fastest, by pairs 2 may be twice as fast."""
    without = (1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0, 1.0)
    ratios = (0.44, 1.3, 1.2, 0.9, 1.05, 1.25, 1.3, 1.05, 0.6)  # the speed-up, block by block
    workers = tuple(seconds / ratio for seconds, ratio in zip(without, ratios, strict=True))
    report = sweep(setting_result(0, 1.0, without), setting_result(2, 1.0, workers))
    assert median(without) < median(workers)
    assert report.speedup(report.results[1]).value == pytest.approx(1.05)
    choice = report.choice()
    assert (choice.result.setting.num_workers, choice.is_clear) == (0, False)
    text = " ".join(advise_on_sweep(report))
    assert "none was over" not in text
    assert "set num_workers" not in text


def test_a_setting_that_is_slower_for_certain_does_not_blur_the_choice() -> None:
    slow_and_rough = setting_result(8, 0.02, (1.0, 3.0, 0.5, 2.0, 0.4, 2.5, 0.6, 1.5))
    report = sweep(setting_result(0, 0.004), setting_result(2, 0.002), slow_and_rough)
    assert workers_chosen(report) == (2, True)


@pytest.mark.parametrize("blocks", [1, 7])
def test_too_few_turns_make_no_clear_choice(blocks: int) -> None:
    report = sweep(setting_result(0, 0.004, STEADY[:blocks]), setting_result(2, 0.002, STEADY[:blocks]))
    assert report.relative_speed(report.results[0]) is RelativeSpeed.UNCLEAR
    assert not report.choice().is_clear


def test_of_equally_many_workers_the_faster_engine_is_chosen() -> None:
    slow = replace(setting_result(2, 0.00203), setting=LoaderSetting(2, 2, "processes"))
    report = sweep(setting_result(0, 0.004), slow, setting_result(2, 0.002))
    assert report.choice().result.setting.engine == "threads"


def test_fewer_batches_ahead_are_chosen_where_they_are_as_fast() -> None:
    ahead = replace(setting_result(2, 0.00199), setting=LoaderSetting(2, 8, "threads"))
    assert (
        sweep(setting_result(0, 0.004), ahead, setting_result(2, 0.002))
        .choice()
        .result.setting.prefetch_factor
        == 2
    )


def test_scaling_with_workers_is_checked_where_none_are_chosen() -> None:
    report = sweep(setting_result(0, 0.002), setting_result(2, 0.0022), setting_result(4, 0.003))
    assert workers_chosen(report) == (0, True)
    assert outcomes(report)["scaling", 1] is Outcome.BROKEN
    scaling = next(v for v in check_goals(report, report.choice().result) if v.metric == "scaling")
    assert "the speedup with 2 threads +2 of 0.91 is below the floor" in scaling.reason
    assert ("scaling", 1) not in outcomes(sweep(setting_result(0, 0.002)))


@pytest.mark.parametrize(
    ("step_seconds", "outcome", "advice"),
    [
        (0.0056, Outcome.KEPT, "loading is not the bottleneck: 2.80"),
        (0.001, Outcome.BROKEN, "loading is the bottleneck: 0.50"),
        (0.002, Outcome.UNCLEAR, ""),
    ],
)
def test_the_bottleneck_is_checked_with_or_without_workers(
    step_seconds: float, outcome: Outcome, advice: str
) -> None:
    step = tuple(step_seconds * factor for factor in (*STEADY[1:], STEADY[0]))
    report = sweep(setting_result(0, 0.002), step_seconds_per_image=step)
    assert outcomes(report)["bottleneck", 1] is outcome
    assert advice in " ".join(advise_on_sweep(report))


def test_without_a_model_the_bottleneck_is_not_judged_and_the_option_is_named() -> None:
    report = sweep(setting_result(0, 0.002))
    assert "bottleneck" not in {metric for metric, _ in outcomes(report)}
    assert "give --model" in " ".join(advise_on_sweep(report))


@pytest.mark.parametrize(("available", "outcome"), [(2**30, Outcome.KEPT), (2**20, Outcome.BROKEN)])
def test_memory_is_checked_against_what_was_available(available: int, outcome: Outcome) -> None:
    machine = MachineFacts(platform="linux", cores=2, available_bytes=available, start_method="fork")
    memory = HostMemory(2**18, 2**19, 2**20)
    report = sweep(setting_result(0, 0.002, memory=memory), machine=machine)
    assert outcomes(report)["memory", None] is outcome


def test_the_time_of_an_epoch_and_of_a_run_follows_from_the_rates() -> None:
    """17,909 images at 847 a second load in 21 s; with a step of 3 ms, 50 epochs take about 45 min."""
    report = sweep(
        setting_result(8, 1 / 846.8),
        images_per_epoch=17_909,
        epochs=50,
        step_seconds_per_image=(0.003,) * 8,
    )
    chosen = report.results[0]
    loading, training = report.loading_epoch(chosen), report.training_epoch(chosen)
    assert loading is not None
    assert training is not None
    assert loading.value == pytest.approx(21.1, abs=0.1)
    assert loading.interval.low < loading.value < loading.interval.high
    assert training.value == pytest.approx(53.7, abs=0.1)  # workers load meanwhile
    text = " ".join(advise_on_sweep(report))
    assert "loading an epoch of 17,909 images takes 21 s (21 s to 21 s); 50 epochs take 18 min" in text
    assert "takes 54 s; 50 epochs take 45 min" in text
    alone = sweep(setting_result(0, 0.001), images_per_epoch=100, step_seconds_per_image=(0.003,) * 8)
    epoch = alone.training_epoch(alone.results[0])
    assert epoch is not None
    assert epoch.value == pytest.approx(0.4)  # without workers both add up


def test_a_loader_without_a_length_has_no_time_of_an_epoch() -> None:
    report = sweep(setting_result(0, 0.001))
    assert report.loading_epoch(report.results[0]) is None
    assert "epoch" not in " ".join(advise_on_sweep(report))


def outcomes(report: SweepReport) -> dict[tuple[str, float | None], Outcome]:
    verdicts = check_goals(report, report.choice().result)
    return {(verdict.metric, verdict.bound): verdict.outcome for verdict in verdicts}


def test_targets_are_judged_by_the_whole_interval() -> None:
    plain = tuple(0.00075 * factor for factor in STEADY)
    chosen = setting_result(2, 0.001, other_modes={"none": plain}, batch_seconds=(0.05,) * 2000)
    judged = outcomes(sweep(setting_result(0, 0.0021), chosen, is_reproducible=True, mean=0.02, std=0.98))
    assert judged == {
        ("images_per_second", 50): Outcome.KEPT,
        ("batches_per_second", 10): Outcome.KEPT,
        ("p99", 0.1): Outcome.KEPT,
        ("overhead_share", 0.3): Outcome.KEPT,  # 25 % of the time of a batch, 33 % over plain
        ("overhead_share", 0.2): Outcome.BROKEN,
        ("scaling", 1): Outcome.KEPT,
        ("normalized", None): Outcome.KEPT,
        ("repeats", None): Outcome.KEPT,
    }


def test_each_target_can_be_broken() -> None:
    plain = tuple(0.0375 * factor for factor in STEADY)
    broken = setting_result(0, 0.05, other_modes={"none": plain}, batch_seconds=(0.05, 1.6) * 1000)
    judged = outcomes(sweep(broken, is_reproducible=False, mean=120.0, std=60.0))
    not_broken = [goal for goal, outcome in judged.items() if outcome is not Outcome.BROKEN]
    assert not_broken == [("overhead_share", 0.3)]


def test_an_unclear_target_names_the_option_that_takes_more_samples() -> None:
    report = sweep(setting_result(0, 1 / 50, ROUGH))
    unclear = [
        verdict for verdict in check_goals(report, report.results[0]) if verdict.outcome is Outcome.UNCLEAR
    ]
    assert unclear
    assert all(verdict.reason.endswith("; give more --seconds") for verdict in unclear)


def test_costly_augmentation_is_reported_with_a_remedy() -> None:
    plain = tuple(0.001 * factor for factor in STEADY)
    costly = sweep(setting_result(0, 0.002, other_modes={"none": plain}))
    assert "augmentation costs 50% of a batch's time (100% over plain)" in " ".join(advise_on_sweep(costly))
    cheap = sweep(setting_result(0, 0.0011, other_modes={"none": plain}))
    assert "augmentation" not in " ".join(advise_on_sweep(cheap))


def test_wait_times_of_one_batch_have_standard_deviation_0() -> None:
    assert BatchWaitTimes.of([0.5]) == BatchWaitTimes(0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5)
    times = BatchWaitTimes.of([float(ms) for ms in range(1, 101)])
    assert (times.minimum, times.mean, times.maximum, times.p50) == (1, 50.5, 100, 50.5)
    assert times.p90 < times.p95 < times.p99 < times.maximum
