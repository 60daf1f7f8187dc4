"""Shares of a training step by stage and what removing one can give, on invented times and a real step."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.advise.confidence import MIN_BLOCKS
from perfsuite.advise.inputs.models import load_model
from perfsuite.advise.profile.stage_loaders import without_workers
from perfsuite.advise.profile.step import OTHER, REST_OF_LOADING, StepProfile, profile_step
from perfsuite.data.loaders import make_loaders
from perfsuite.data.synthetic import dataset
from perfsuite.errors import NothingMeasuredError
from perfsuite.measure.clock import make_clock
from perfsuite.stages import STEP_STAGES
from tests.advise.inputs import user_things

BATCHES = 9


def invented(loading_seconds: float | None = None, **seconds: float) -> StepProfile:
    stages = {name: (value,) * BATCHES for name, value in seconds.items()}
    return StepProfile(BATCHES, 32, stages, loading_seconds, 2)


def test_shares_are_those_of_the_whole_batch_and_add_up() -> None:
    """The shares of a report: image loading 30, transforms 25, maps 5, forward 35, other 5 %."""
    profile = invented(decode=0.30, augment=0.25, map=0.05, forward=0.35, other=0.05)
    assert {name: round(profile.share(name).value, 2) for name in profile.stage_seconds} == {
        "decode": 0.30,
        "augment": 0.25,
        "map": 0.05,
        "forward": 0.35,
        "other": 0.05,
    }
    assert profile.share(*profile.loading_stages).value == pytest.approx(0.60)
    assert profile.slowest_first[0] == "forward"


def test_the_bound_of_a_stage_depends_on_the_overlap() -> None:
    """Transforms are 25 % of a run and Normalize 87.84 % of them: 22 % at most, and nothing beside a step."""
    normalize = 0.8784 * 0.25
    serial = invented(normalize=normalize, decode=0.25 - normalize, forward=0.75)
    assert 1 - 1 / serial.bound_without_overlap("normalize") == pytest.approx(0.22, abs=0.001)
    assert serial.bound_with_overlap("normalize") is None
    beside = invented(0.25, normalize=normalize, decode=0.25 - normalize, forward=0.75)
    assert beside.bound_with_overlap("normalize") == 1.0
    assert beside.bound_with_overlap("forward") == pytest.approx(3.0)
    slow_loader = invented(1.5, normalize=normalize, decode=0.25 - normalize, forward=0.75)
    assert slow_loader.bound_with_overlap("normalize") == pytest.approx(1.5 / 0.75)
    assert slow_loader.bound_with_overlap("forward") == 1.0


def test_a_real_step_has_the_stages_of_loading_and_of_training(tmp_path: Path) -> None:
    folder = dataset.make_dataset(tmp_path / "images", images=24, classes=2, size=(80, 60))
    loader = make_loaders(folder, 4, 0, "moderate", 32).train
    profile = profile_step(without_workers(loader), load_model("small"), make_clock("cpu"), 0.0)
    assert set(profile.stage_seconds) >= {"read", "decode", "augment", *STEP_STAGES, REST_OF_LOADING, OTHER}
    assert profile.batches >= MIN_BLOCKS
    assert profile.memory is not None
    assert profile.memory.batch_bytes == 4 * (3 * 32 * 32 * 4 + 8)  # floats, and a label each
    assert profile.memory.device_peak_bytes is None
    assert (profile.memory.host_peak_bytes or 0) > profile.memory.batch_bytes
    assert sum(profile.share(name).value for name in profile.stage_seconds) == pytest.approx(1, abs=0.2)
    assert not set(profile.loading_stages) & {*STEP_STAGES, OTHER}


def test_a_dataloader_of_dicts_has_stages_too() -> None:
    stages = without_workers(user_things.dict_loader)
    profile = profile_step(stages, user_things.net, make_clock("cpu"), 0.0)
    assert set(profile.stage_seconds) >= {"dataset", "collate", "forward", "backward"}


def test_an_empty_loader_is_an_error() -> None:
    with pytest.raises(NothingMeasuredError, match="gave 0 batches"):
        profile_step([], user_things.net, make_clock("cpu"), 0.0)
