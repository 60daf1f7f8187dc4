"""Profiles of pipelines: shares, the slowest step and its bound, on invented times and real steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perfsuite.advise.profile.pipelines.advice import ADVICE
from perfsuite.advise.profile.pipelines.registry import load_pipeline
from perfsuite.advise.profile.transforms import (
    PipelineProfile,
    PipelineSample,
    PipelineStep,
    StepTimes,
    profile_pipeline,
    synthetic_sample,
)
from perfsuite.cli.profile_transforms import _table
from perfsuite.errors import UsageError
from perfsuite.transforms.augment.modes import MODES

INVENTED = PipelineProfile(
    steps=(
        StepTimes("resize", (0.001, 0.003)),
        StepTimes("normalize", (0.006, 0.006)),
        StepTimes("copy", (0.0, 0.0)),
    ),
    whole=StepTimes("whole", (0.010, 0.010)),
)


def test_shares_add_up_to_one() -> None:
    assert sum(INVENTED.share(step) for step in INVENTED.steps) == pytest.approx(1)
    assert [round(INVENTED.share(step), 2) for step in INVENTED.steps] == [0.25, 0.75, 0.0]


def test_the_slowest_step_is_named_with_its_bound() -> None:
    assert INVENTED.slowest.name == "normalize"
    assert INVENTED.max_speedup(INVENTED.slowest) == pytest.approx(2.5)


def test_a_step_slower_than_the_whole_is_bounded_by_the_sum_of_the_steps() -> None:
    noisy = PipelineProfile(
        (StepTimes("slow", (0.009,)), StepTimes("fast", (0.003,))), whole=StepTimes("whole", (0.008,))
    )
    assert noisy.max_speedup(noisy.slowest) == pytest.approx(4)


def test_a_pipeline_of_one_step_has_no_infinite_bound_in_the_table() -> None:
    alone = PipelineProfile(
        (StepTimes("only", (0.009,)),), whole=StepTimes("whole", (0.008,)), shape=(4, 4, 3)
    )
    assert "slowest: only; nothing else takes time" in _table("own", alone)
    assert "at most 2.50 times as fast" in _table("invented", replace(INVENTED, shape=(4, 4, 3)))


def test_mean_deviation_and_extremes_are_over_the_turns() -> None:
    resize = INVENTED.steps[0]
    assert (resize.mean, resize.std, resize.minimum, resize.maximum) == pytest.approx(
        (0.002, 0.001, 0.001, 0.003)
    )


def test_each_step_gets_the_output_of_the_step_before() -> None:
    inputs: list[tuple[str, int]] = []

    def step(name: str) -> PipelineStep:
        def apply(sample: PipelineSample) -> PipelineSample:
            inputs.append((name, int(sample.image)))
            return PipelineSample(sample.image + 1, sample.keypoints)

        return PipelineStep(name, apply)

    profile = profile_pipeline(
        [step("first"), step("second")], PipelineSample(np.array(0), np.empty((0, 2))), seconds=0.01
    )
    assert set(inputs) == {("first", 0), ("second", 1)}
    assert [step.name for step in profile.steps] == ["first", "second"]
    assert len({len(step.seconds) for step in (*profile.steps, profile.whole)}) == 1


@pytest.mark.parametrize("name", ["letterbox", "operations", *(mode for mode in MODES if mode != "none")])
@pytest.mark.parametrize("keypoints", [0, 5])
def test_own_pipelines_return_a_normalized_image(name: str, keypoints: int) -> None:
    sample = synthetic_sample(60, 80, keypoints)
    for step in load_pipeline(name, 64):
        sample = step.apply(sample)
    assert tuple(sample.image.shape) == (
        1,
        3,
        *{"letterbox": (64, 64), "operations": (80, 60)}.get(name, (60, 80)),
    )
    assert len(sample.keypoints) == keypoints
    assert abs(float(sample.image.mean())) < 1


def test_albumentations_letterbox_places_image_and_keypoints_alike() -> None:
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    ours = theirs = synthetic_sample(60, 80, 5)
    for step in load_pipeline("letterbox", 64):
        ours = step.apply(ours)
    for step in load_pipeline("albumentations", 64):
        theirs = step.apply(theirs)
    assert [step.name for step in load_pipeline("albumentations", 64)] == [
        "LongestMaxSize",
        "PadIfNeeded",
        "Normalize",
        "ToTensorV2",
    ]
    assert theirs.keypoints == pytest.approx(ours.keypoints, abs=1e-3)
    assert np.asarray(theirs.image) == pytest.approx(np.asarray(ours.image[0]), abs=1e-5)


def test_every_expensive_transform_has_advice() -> None:
    assert {"Normalize", "ElasticTransform", "GridDistortion", "Affine"} <= set(ADVICE)
    advice = {step.name: step.advice for step in load_pipeline("operations")}
    assert "expensive by nature" in advice["elastic"]
    assert "expensive by nature" in advice["grid"]
    assert "expensive" not in advice["mirror"] + advice["quarter turn"] + advice["jitter"]


def test_distortions_move_keypoints_too() -> None:
    for step in load_pipeline("operations"):
        before = synthetic_sample(60, 80, 5)
        after = step.apply(before)
        moves = step.name not in ("jitter", "normalize")
        assert np.array_equal(before.keypoints, after.keypoints) != moves, step.name


def test_a_pipeline_of_the_user_is_loaded_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_steps.py").write_text(
        "from perfsuite.advise.profile.transforms import PipelineStep\n"
        "steps = [PipelineStep('nothing', lambda sample: sample)]\n"
        "other = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [step.name for step in load_pipeline("own_steps:steps")] == ["nothing"]
    with pytest.raises(UsageError, match="found int, expected a list of PipelineStep"):
        load_pipeline("own_steps:other")
    with pytest.raises(UsageError, match="has no"):
        load_pipeline("own_steps:missing")


def test_unknown_and_empty_pipelines_are_refused() -> None:
    with pytest.raises(
        UsageError, match="expected one of letterbox, albumentations, operations, conservative"
    ):
        load_pipeline("wild")
    with pytest.raises(UsageError, match="no steps"):
        profile_pipeline([], synthetic_sample(8, 8, 0))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("torchvision_compose", ["RandomCrop", "RandomHorizontalFlip", "ToTensor", "Normalize"]),
        ("torchvision_v2", ["ToImage", "Resize"]),
        ("torch_sequential", ["CenterCrop", "Grayscale"]),
        ("albumentations_compose", ["HorizontalFlip", "Normalize"]),
        ("albumentations_transform", ["HorizontalFlip"]),
        ("invert", ["invert"]),
    ],
)
def test_pipelines_of_any_library_are_profiled(name: str, steps: list[str]) -> None:
    loaded = load_pipeline(f"tests.advise.inputs.user_pipelines:{name}")
    profile = profile_pipeline(loaded, synthetic_sample(60, 80, 0), seconds=0.01)
    assert [step.name for step in profile.steps] == steps
    assert profile.shape == (60, 80, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", "found int, expected a list of PipelineStep, an albumentations or torchvision Compose"),
        ("Uncalled", "found the class Uncalled"),
        ("no_steps", "found list"),
        ("absent", "has no 'absent'"),
    ],
)
def test_what_is_no_pipeline_is_named(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_pipeline(f"tests.advise.inputs.user_pipelines:{name}")


def test_a_transform_that_fails_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"fails raised ZeroDivisionError: .*expected a transform of ndarray"
    ):
        profile_pipeline(
            load_pipeline("tests.advise.inputs.user_pipelines:fails"), synthetic_sample(8, 8, 0), seconds=0.01
        )


@pytest.mark.parametrize("size", [(224, 224), (512, 512)])
def test_every_draw_of_the_distortions_is_smooth_enough(size: tuple[int, int]) -> None:
    steps = {step.name: step for step in load_pipeline("operations")}
    sample = synthetic_sample(*size, 0)
    for _ in range(50):
        steps["grid"].apply(sample)
    for _ in range(5):  # 40 times as slow
        steps["elastic"].apply(sample)
