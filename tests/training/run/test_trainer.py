from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from perfsuite.errors import DataError
from perfsuite.training.run import trainer as trainer_module
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.loss_meter import BadLossError
from perfsuite.training.run.out_of_memory import BatchTooLargeError, suggest_batch_size_on_oom
from perfsuite.training.run.trainer import EpochResult, Trainer, TrainerOptions
from perfsuite.training.step.presets import BF16, EAGER, Preset
from tests.training.tiny_models import OperatorCounter

RECIPE = ModelSpec("small", ("cat", "dog", "fish"), image_size=16)
OPTIONS = TrainerOptions(epochs=2, learning_rate=0.05, read_losses_every=3)


class Killed(BaseException):
    """As a kill signal: nothing may catch it and tidy up."""


class KilledAt:
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: int, steps: int, images: int) -> None:
        if step == self.step:
            raise Killed

    def on_losses(self, step: int, losses: Sequence[float]) -> None: ...

    def on_epoch(self, result: EpochResult) -> None: ...


class Augmented:
    """Images changed at random as they are loaded: the order of every random draw matters."""

    def __init__(self, count: int = 42) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(count, 3, 16, 16, generator=generator)
        self.labels = torch.arange(count) % 3

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index] + torch.randn(1) * 0.1, self.labels[index]


def loader(count: int = 42, **options: Any) -> DataLoader[Any]:
    return DataLoader(Augmented(count), batch_size=8, shuffle=True, **options)  # type: ignore[arg-type]


def trainer_of(batches: Any = None, recipe: ModelSpec = RECIPE, **options: Any) -> Trainer:
    return Trainer(
        recipe, batches if batches is not None else loader(), None, **({"options": OPTIONS} | options)
    )


def assert_same_run(one: Trainer, other: Trainer) -> None:
    assert one.history == other.history
    for name, value in other.unwrapped_model.state_dict().items():
        assert torch.equal(one.unwrapped_model.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("killed_at", "preset"),
    [
        (2, EAGER),
        (6, EAGER),
        (7, EAGER),
        (11, EAGER),
        (3, Preset(accumulate=4)),
        (6, Preset(accumulate=4)),
        (8, BF16),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_killed_run_goes_on_as_if_it_had_not_been(killed_at: int, preset: Preset, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1, epochs=2 if preset.accumulate == 1 else 6)
    whole = trainer_of(preset=preset, options=options)
    whole.fit()
    killed = trainer_of(preset=preset, options=options, checkpoint_path=path, watchers=[KilledAt(killed_at)])
    with pytest.raises(Killed):
        killed.fit()
    resumed = trainer_of(preset=preset, options=options)
    resumed.resume(path)
    assert resumed.steps_done == killed_at - 1
    resumed.fit()
    assert_same_run(resumed, whole)


def test_a_loader_with_workers_and_its_own_generator_goes_on_alike(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"

    def own() -> DataLoader[Any]:
        return loader(generator=torch.Generator(), num_workers=1, multiprocessing_context="fork")

    options = replace(OPTIONS, checkpoint_every=2)
    whole = trainer_of(own(), options=options)
    whole.fit()
    killed = trainer_of(own(), options=options, checkpoint_path=path, watchers=[KilledAt(10)])
    with pytest.raises(Killed):
        killed.fit()
    resumed = trainer_of(own(), options=options)
    resumed.resume(path)
    resumed.fit()
    assert_same_run(resumed, whole)


def test_random_states_not_restored_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1)
    whole = trainer_of(options=options)
    whole.fit()
    # Without its own generator the order is drawn first, so the images' noise alone would differ.
    with pytest.raises(Killed):
        trainer_of(options=options, checkpoint_path=path, watchers=[KilledAt(3)]).fit()
    monkeypatch.setattr(trainer_module.randomness, "seed_everything", lambda *seeds: None)
    monkeypatch.setattr(trainer_module.randomness, "restore", lambda states: None)
    resumed = trainer_of(options=options)
    resumed.resume(path)
    resumed.fit()
    assert resumed.history != whole.history


def test_every_epoch_draws_another_order_and_the_same_seed_draws_the_same() -> None:
    first, again, other = trainer_of(), trainer_of(), trainer_of(options=replace(OPTIONS, seed=7))
    for one in (first, again, other):
        one.fit()
    assert_same_run(first, again)
    assert other.history != first.history
    assert first.history[0].train_loss != first.history[1].train_loss


def test_it_learns_what_can_be_learned() -> None:
    labels = torch.arange(60) % 3
    images = torch.randn(60, 3, 16, 16) * 0.1 + nn.functional.one_hot(labels, 3)[:, :, None, None]
    batches = DataLoader(TensorDataset(images, labels), batch_size=10, shuffle=True)
    trainer = Trainer(RECIPE, batches, batches, replace(OPTIONS, epochs=4))
    assert trainer.fit()[-1].val_accuracy == 1.0


def test_losses_are_waited_for_only_when_they_are_read(dispatched: OperatorCounter) -> None:
    trainer = trainer_of(options=replace(OPTIONS, epochs=1, read_losses_every=100))
    with dispatched:
        trainer.fit()
    # One reading at the epoch's end takes no scalar out of a tensor; shuffling and sampling on the host may.
    per_step = OperatorCounter()
    often = trainer_of(options=replace(OPTIONS, epochs=1, read_losses_every=1))
    with per_step:
        often.fit()
    assert dispatched.count["stack"] == per_step.count["stack"] - 5


def planted(batches: Any, at: int, value: float) -> Any:
    """A loader whose batch number `at` holds images that no loss survives."""

    class Planted:
        batch_size = 8

        def __len__(self) -> int:
            return len(batches)

        def __iter__(self) -> Iterator[Any]:
            for index, (images, labels) in enumerate(batches):
                yield (images * value if index == at else images), labels

    return Planted()


def test_a_bad_loss_stops_with_its_epoch_and_batch_named(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer = trainer_of(planted(loader(), 4, math.nan), checkpoint_path=path)
    with pytest.raises(BadLossError, match=r"nan in epoch 1, batch 5"):
        trainer.fit()
    assert not path.exists()


def test_no_checkpoint_is_kept_of_weights_that_a_bad_loss_touched(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1, read_losses_every=100)
    with pytest.raises(BadLossError, match="batch 5"):
        trainer_of(planted(loader(), 4, math.nan), options=options, checkpoint_path=path).fit()
    kept = Checkpoint.load(path)
    assert kept.training["steps_done"] == 4
    assert all(weight.isfinite().all() for weight in kept.weights.values())


def test_a_bad_loss_is_skipped_and_counted_by_policy() -> None:
    options = replace(OPTIONS, on_bad_loss="skip", epochs=1)
    result = trainer_of(planted(loader(), 4, math.inf), options=options).fit()[0]
    assert result.steps_skipped == 1
    assert math.isfinite(result.train_loss)
    assert result.images == 34


def test_nothing_to_train_on_is_said() -> None:
    class Empty:
        def __len__(self) -> int:
            return 0

        def __iter__(self) -> Iterator[Any]:
            return iter(())

    with pytest.raises(DataError, match="no images to train on"):
        trainer_of(Empty()).fit()


def test_a_memory_too_small_names_the_batch_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of()
    forward = trainer.unwrapped_model.forward

    def only_small(images: Tensor) -> Tensor:
        if len(images) > 3:
            raise torch.OutOfMemoryError("planted: out of memory")
        scores: Tensor = forward(images)
        return scores

    monkeypatch.setattr(trainer.unwrapped_model, "forward", only_small)
    with pytest.raises(
        BatchTooLargeError, match=r"batch of 8; a step with 2 fitted.*--gradient-accumulation-steps 4"
    ):
        trainer.fit()


def test_what_cannot_be_tried_alone_is_not_tried() -> None:
    with (
        pytest.raises(BatchTooLargeError, match="batch of 8, expected one that fits; take a smaller"),
        suggest_batch_size_on_oom(8, None),
    ):
        raise torch.OutOfMemoryError("planted")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"options": replace(OPTIONS, learning_rate=0.1)}, "learning_rate 0.05 there, 0.1 here"),
        ({"options": replace(OPTIONS, epochs=3)}, "epochs 2 there, 3 here"),
        ({"recipe": replace(RECIPE, image_size=32)}, "image_size 16 there, 32 here"),
        ({"preset": Preset(accumulate=2)}, "accumulate 1 there, 2 here"),
        ({"batches": loader(80)}, "steps_in_epoch 6 there, 10 here"),
    ],
)
def test_resuming_another_run_is_refused(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer_of().save(path)
    with pytest.raises(DataError, match=named):
        trainer_of(**change).resume(path)


def test_resuming_other_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer_of().save(path)
    other = Trainer(replace(RECIPE, class_names=("cat", "dog")), loader(), None, OPTIONS)
    with pytest.raises(DataError, match=r"trained on 3 classes \(cat, dog, fish\), the data have 2 classes"):
        other.resume(path)


def test_weights_alone_cannot_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    Checkpoint(RECIPE, RECIPE.build().state_dict()).save(path)
    with pytest.raises(DataError, match="without the training's state"):
        trainer_of().resume(path)


def test_a_finished_run_resumed_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    done = trainer_of(checkpoint_path=path)
    done.fit()
    again = trainer_of()
    again.resume(path)
    again.fit()
    assert_same_run(again, done)
