"""Hostile training states: each wrong field is a DataError that names file, place and expectation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsuite.errors import DataError
from perfsuite.training.run import rng_state
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.trainer import Trainer, TrainerOptions
from perfsuite.training.step.presets import FP16
from tests.training.tiny_models import random_batch

SPEC = ModelSpec("small", ("cat", "dog", "fish"), image_size=16)
BATCHES = [random_batch(4, size=16)] * 2


def make_trainer(**options: Any) -> Trainer:
    return Trainer(SPEC, BATCHES, None, options=TrainerOptions(epochs=2, **options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = tmp_path_factory.mktemp("run") / "m.pth"
    trainer = make_trainer()
    trainer.checkpoint_path = path
    trainer.fit()
    return Checkpoint.load(path)


def replace_at(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Copy nested dictionaries and lists, with another value at `place`; a class removes the entry."""
    if not place:
        return value
    key, *rest = place
    copied = dict(content) if isinstance(content, Mapping) else list(content)
    if value is dict and not rest:
        del copied[key]
    else:
        copied[key] = replace_at(copied[key] if rest else None, tuple(rest), value)
    return copied


def resume_damaged(trained: Checkpoint, place: tuple[Any, ...], value: Any, path: Path) -> None:
    Checkpoint(trained.spec, trained.weights, replace_at(trained.training, place, value)).save(path)
    make_trainer().resume(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("steps_done",), -1, "training.steps_done is -1, expected greater than or equal to 0"),
        (("steps_done",), 1.5, "training.steps_done is 1.5, expected a valid integer"),
        (("steps_done",), True, "training.steps_done is True, expected a valid integer"),
        (("steps_done",), 10**30, "steps done, expected at most the 4 of 2 epochs"),
        (("steps_skipped",), "3", "training.steps_skipped is '3'"),
        (("epoch_loss_total",), float("nan"), "training.epoch_loss_total is nan, expected a finite number"),
        (("history",), 7, "training.history is 7, expected a valid list"),
        (("history", 0), {"epoch": 0}, "training.history.0.images is missing, expected it"),
        (
            ("history", 0, "train_loss"),
            "low",
            "training.history.0.train_loss is 'low', expected a valid number",
        ),
        (("settings",), [], r"training.settings is \[\], expected a valid dictionary"),
        (("settings",), {}, "learning_rate not recorded there, 0.05 here"),
        (("settings", "surprise"), 1, "surprise 1 there, not recorded here"),
        (("rng_state",), dict, "training.rng_state is missing, expected it"),
        (("more",), 1, "training.more is 1, .*unexpected|Unexpected"),
        (("rng_state", "torch"), dict, r"training.rng_state.torch cannot be restored \(KeyError"),
        (("rng_state", "torch"), torch.zeros(3), "training.rng_state.torch cannot be restored"),
        (("rng_state", "python"), [3, [1, 2], None], "training.rng_state.python cannot be restored"),
        (("rng_state", "numpy"), "x", "training.rng_state.numpy cannot be restored"),
        (("rng_state", "cuda"), [1], "training.rng_state.cuda cannot be restored"),
        (("optimizer",), 0, "training.optimizer is 0, expected a valid dictionary"),
        (("optimizer", 0), {}, "training.optimizer.0 has nothing, expected momentum_buffer"),
        (("optimizer", 99), {"momentum_buffer": None}, "training.optimizer.99 is a parameter's number"),
        (
            ("optimizer", 0, "momentum_buffer"),
            torch.zeros(2),
            r"momentum_buffer is \(2,\), expected \(32, 3, 3, 3\)",
        ),
        (("optimizer", 0, "momentum_buffer"), "x", "momentum_buffer is str, expected"),
        (("grad_scaler",), {"scale": 1.0}, "training.grad_scaler has scale, expected nothing"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_wrong_fields_are_named(
    place: tuple[Any, ...], value: Any, message: str, trained: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"m\.pth: .*({message})"):
        resume_damaged(trained, place, value, tmp_path / "m.pth")


def test_an_undamaged_state_resumes(trained: Checkpoint, tmp_path: Path) -> None:
    """The negative control."""
    resume_damaged(trained, (), trained.training, tmp_path / "m.pth")


def test_an_fp16_run_needs_its_scale(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer = Trainer(SPEC, BATCHES, None, options=TrainerOptions(epochs=2), preset=FP16)
    trainer.save(path)
    saved = Checkpoint.load(path)
    Checkpoint(saved.spec, saved.weights, {**saved.training, "grad_scaler": {}}).save(path)
    with pytest.raises(DataError, match=r"grad_scaler has nothing, expected .*scale"):
        trainer.resume(path)


def places_in(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, Mapping) else ()
    return [place, *(found for key, value in inner for found in places_in(value, (*place, key)))]


def test_a_tensor_in_place_of_a_setting_is_refused(trained: Checkpoint, tmp_path: Path) -> None:
    path = ("settings", "learning_rate")
    with pytest.raises(DataError, match="another run"):
        resume_damaged(trained, path, torch.zeros(2), tmp_path / "m.pth")


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), st.integers(), max_size=2),
    st.just(torch.zeros(2)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 10_000), value=JUNK)
def test_junk_anywhere_is_refused_clearly_or_trains_on(
    number: int, value: Any, trained: Checkpoint, tmp_path: Path
) -> None:
    before = rng_state.get_rng_state()
    places = places_in(trained.training)
    place = places[number % len(places)]
    content = value if not place else replace_at(trained.training, place, value)
    path = tmp_path / "m.pth"
    torch.save(
        {
            "perfsuite": 2,
            "model_spec": {name: getattr(SPEC, name) for name in ModelSpec.__slots__},
            "weights": dict(trained.weights),
            "training": content,
        },
        path,
    )
    trainer = make_trainer()
    try:
        trainer.resume(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        trainer.fit()
    rng_state.set_rng_state(before)
