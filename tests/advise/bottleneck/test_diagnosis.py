"""The bottleneck, from invented measurements of pipelines."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from perfsuite.advise.bottleneck.bottlenecks import (
    BOTTLENECK_OF_STAGE,
    REMEDIES,
    STAGE_REMEDIES,
    Bottleneck,
    remedy,
    remedy_of_stage,
)
from perfsuite.advise.bottleneck.diagnosis import PipelineTimes, diagnose

STEADY = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99)
EVEN_STAGES = {"read": 0.001, "decode": 0.001, "augment": 0.001, "collate": 0.001}


def turns(seconds: float) -> tuple[float, ...]:
    return tuple(seconds * factor for factor in STEADY)


def pipeline(
    loading: float, step: float, stages: dict[str, float], workers: int = 2, **more: object
) -> PipelineTimes:
    return PipelineTimes(
        loading=turns(loading),
        step=turns(step),
        training=turns(max(loading, step) if workers else loading + step),
        stage_seconds=stages,
        num_workers=workers,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("slow", "bottleneck"),
    [
        ("read", Bottleneck.STORAGE),
        ("decode", Bottleneck.DECODE),
        ("augment", Bottleneck.TRANSFORM),
        ("collate", Bottleneck.COLLATE),
    ],
)
def test_a_slow_stage_of_a_slow_loader_is_named(slow: str, bottleneck: Bottleneck, workers: int) -> None:
    stages = EVEN_STAGES | {slow: 0.005}
    loading = 0.008 / max(1, workers)
    diagnosis = diagnose(pipeline(loading, 0.0005, stages, workers))
    assert (diagnosis.bottleneck, diagnosis.is_clear) == (bottleneck, True)
    without_overlap = loading if workers else loading + 0.0005
    assert diagnosis.share == pytest.approx(5 / 8 * loading / without_overlap, rel=0.02)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_slow_step_is_named_whatever_the_loader_does(workers: int) -> None:
    diagnosis = diagnose(pipeline(0.002, 0.02, EVEN_STAGES | {"decode": 0.003}, workers))
    assert (diagnosis.bottleneck, diagnosis.is_clear) == (Bottleneck.DEVICE, True)
    assert diagnosis.max_speedup == pytest.approx(10 if workers else 11, rel=0.05)


def test_a_step_as_fast_as_loading_is_unclear() -> None:
    times = pipeline(0.01, 0.01, EVEN_STAGES)
    noisy = replace(times, step=tuple(0.01 * factor for factor in (0.9, 1.1) * 4))
    diagnosis = diagnose(noisy)
    assert not diagnosis.is_clear
    assert "about as fast" in diagnosis.reason


def test_two_stages_as_slow_as_each_other_are_unclear() -> None:
    stages = {"decode": 0.005, "augment": 0.0049}
    assert not diagnose(pipeline(0.005, 0.001, stages)).is_clear


def test_amdahls_bound_follows_the_measured_overlap() -> None:
    stages = {"decode": 0.008, "augment": 0.002}
    overlapping = pipeline(0.010, 0.006, stages)
    diagnosis = diagnose(overlapping)
    # decode takes 8 of 10 ms; without it the step's 6 ms are the whole
    assert diagnosis.overlap == 1.0
    assert diagnosis.max_speedup == pytest.approx(10 / 6, rel=0.01)
    apart = diagnose(replace(overlapping, training=turns(0.016)))
    assert apart.overlap == pytest.approx(0.0, abs=0.02)
    assert apart.max_speedup == pytest.approx(16 / 8, rel=0.02)


def test_without_a_model_the_share_is_that_of_loading() -> None:
    times = PipelineTimes(
        loading=turns(0.01), stage_seconds={"decode": 0.015, "augment": 0.005}, num_workers=2
    )
    diagnosis = diagnose(times)
    assert diagnosis.share == pytest.approx(0.75)
    assert diagnosis.overlap is None
    assert diagnosis.max_speedup == pytest.approx(4)


def test_the_main_thread_is_the_bottleneck_where_its_stages_fill_the_time() -> None:
    stages = {"decode": 0.02, "normalize": 0.0049}
    times = pipeline(0.005, 0.001, stages, workers=8, main_thread_stages=("normalize", "targets"))
    assert diagnose(times).bottleneck is Bottleneck.TRANSFORM
    assert diagnose(replace(times, main_thread_stages=())).bottleneck is Bottleneck.DECODE


def test_cold_files_count_only_where_every_epoch_reads_them() -> None:
    times = pipeline(0.004, 0.001, EVEN_STAGES | {"decode": 0.003}, cold_read_seconds=0.05)
    assert diagnose(times).bottleneck is Bottleneck.DECODE
    assert diagnose(replace(times, reads_are_cold=True)).bottleneck is Bottleneck.STORAGE


def test_a_loader_without_known_stages_is_still_told_from_the_step() -> None:
    assert diagnose(pipeline(0.01, 0.001, {})).bottleneck is Bottleneck.DATASET
    assert diagnose(pipeline(0.001, 0.01, {})).bottleneck is Bottleneck.DEVICE


def test_planted_bottlenecks_are_named_under_noise_in_95_of_100_trials() -> None:
    """Each stage in turn takes half of loading; every measured number varies by 15 %."""
    rng, right, trials = Random(7), 0, 200
    planted = {"read": "storage", "decode": "decode", "augment": "transform", "collate": "collate"}
    for trial in range(trials):
        slow = [*planted, "step"][trial % 5]
        stages = {name: 0.001 * (3 if name == slow else 1) * rng.lognormvariate(0, 0.15) for name in planted}
        step = 0.012 if slow == "step" else 0.0005
        times = PipelineTimes(
            loading=tuple(0.003 * rng.lognormvariate(0, 0.15) for _ in range(8)),
            step=tuple(step * rng.lognormvariate(0, 0.15) for _ in range(8)),
            training=tuple(max(0.003, step) * rng.lognormvariate(0, 0.15) for _ in range(8)),
            stage_seconds=stages,
            num_workers=2,
        )
        right += str(diagnose(times).bottleneck) == planted.get(slow, "device")
    assert right >= 0.95 * trials


@pytest.mark.parametrize("is_user_loader", [False, True])
def test_every_bottleneck_has_a_remedy(is_user_loader: bool) -> None:
    assert set(REMEDIES) == set(Bottleneck)
    assert all(remedy(each, is_user_loader) for each in Bottleneck)


def test_a_stage_has_the_remedy_of_its_bottleneck_or_a_narrower_one() -> None:
    assert set(STAGE_REMEDIES) <= set(BOTTLENECK_OF_STAGE)
    for stage, bottleneck in BOTTLENECK_OF_STAGE.items():
        expected = STAGE_REMEDIES.get(stage, remedy(bottleneck, is_user_loader=False))
        assert remedy_of_stage(stage, is_user_loader=False) == expected
        assert remedy_of_stage(stage, is_user_loader=True) == remedy(bottleneck, is_user_loader=True)
    assert "__getitem__" in remedy_of_stage("load", is_user_loader=True)


def test_without_a_step_the_share_is_that_of_loading() -> None:
    """Also where training was measured, and the step itself failed."""
    times = replace(pipeline(0.004, 0.001, EVEN_STAGES | {"decode": 0.003}), step=())
    slow = replace(times, training=turns(1.0))
    assert diagnose(slow).share == diagnose(replace(times, training=())).share == pytest.approx(0.5)
