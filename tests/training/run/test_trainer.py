from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from perfsuite.errors import DataError
from perfsuite.training.run import rng_state
from perfsuite.training.run.batch_loader import BatchLoader, ResumableLoader, skip_batches
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.loss_meter import BadLossError
from perfsuite.training.run.out_of_memory import BatchTooLargeError, suggest_batch_size_on_oom
from perfsuite.training.run.progress import EpochResult
from perfsuite.training.run.trainer import Trainer, TrainerOptions
from perfsuite.training.step.presets import BF16, EAGER, FP16, Preset
from tests.training.tiny_models import OperatorCounter

SPEC = ModelSpec("small", ("cat", "dog", "fish"), image_size=16)
OPTIONS = TrainerOptions(epochs=2, learning_rate=0.05, read_losses_every=3)


class Killed(BaseException):
    """Stands for a kill signal: no handler may clean up after it."""


class KilledAt:
    """A callback that kills the run at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: int, steps: int, images: int) -> None:
        if step == self.step:
            raise Killed

    def on_losses(self, step: int, losses: Sequence[float]) -> None: ...

    def on_epoch(self, result: EpochResult) -> None: ...


class NoisyImages(Dataset[tuple[Tensor, Tensor]]):
    """Images with noise drawn while they are loaded, so that the order of every random draw matters."""

    def __init__(self, count: int = 42) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(count, 3, 16, 16, generator=generator)
        self.labels = torch.arange(count) % 3

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index] + torch.randn(1) * 0.1, self.labels[index]


def make_loader(count: int = 42, **options: Any) -> DataLoader[Any]:
    return DataLoader(NoisyImages(count), batch_size=8, shuffle=True, **options)


def make_trainer(batches: BatchLoader | None = None, spec: ModelSpec = SPEC, **options: Any) -> Trainer:
    return Trainer(
        spec, batches if batches is not None else make_loader(), None, **({"options": OPTIONS} | options)
    )


def assert_same_run(first: Trainer, second: Trainer) -> None:
    assert first.history == second.history
    for name, value in second.unwrapped_model.state_dict().items():
        assert torch.equal(first.unwrapped_model.state_dict()[name], value), name


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
def test_a_resumed_run_equals_an_uninterrupted_one(killed_at: int, preset: Preset, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1, epochs=2 if preset.accumulate == 1 else 6)
    uninterrupted = make_trainer(preset=preset, options=options)
    uninterrupted.fit()
    killed = make_trainer(
        preset=preset, options=options, checkpoint_path=path, callbacks=[KilledAt(killed_at)]
    )
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(preset=preset, options=options)
    resumed.resume(path)
    assert resumed.steps_done == killed_at - 1
    resumed.fit()
    assert_same_run(resumed, uninterrupted)


def test_a_loader_with_workers_and_its_own_generator_resumes_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"

    def make_own_loader() -> DataLoader[Any]:
        return make_loader(generator=torch.Generator(), num_workers=1, multiprocessing_context="fork")

    options = replace(OPTIONS, checkpoint_every=2)
    uninterrupted = make_trainer(make_own_loader(), options=options)
    uninterrupted.fit()
    killed = make_trainer(make_own_loader(), options=options, checkpoint_path=path, callbacks=[KilledAt(10)])
    with pytest.raises(Killed):
        killed.fit()
    resumed = make_trainer(make_own_loader(), options=options)
    resumed.resume(path)
    resumed.fit()
    assert_same_run(resumed, uninterrupted)


def test_without_restored_rng_states_the_run_would_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the tests above."""
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1)
    uninterrupted = make_trainer(options=options)
    uninterrupted.fit()
    # A loader without its own generator draws the order first, so only the images' noise would differ.
    with pytest.raises(Killed):
        make_trainer(options=options, checkpoint_path=path, callbacks=[KilledAt(3)]).fit()
    monkeypatch.setattr(rng_state, "seed_everything", lambda *seeds: None)
    monkeypatch.setattr(rng_state, "set_rng_state", lambda states: None)
    resumed = make_trainer(options=options)
    resumed.resume(path)
    resumed.fit()
    assert resumed.history != uninterrupted.history


def test_every_epoch_draws_another_order_and_the_same_seed_draws_the_same() -> None:
    first, same, other = make_trainer(), make_trainer(), make_trainer(options=replace(OPTIONS, seed=7))
    for trainer in (first, same, other):
        trainer.fit()
    assert_same_run(first, same)
    assert other.history != first.history
    assert first.history[0].train_loss != first.history[1].train_loss


def test_training_reaches_full_accuracy_on_separable_classes() -> None:
    labels = torch.arange(60) % 3
    images = torch.randn(60, 3, 16, 16) * 0.1 + nn.functional.one_hot(labels, 3)[:, :, None, None]
    batches = DataLoader(TensorDataset(images, labels), batch_size=10, shuffle=True)
    trainer = Trainer(SPEC, batches, batches, options=replace(OPTIONS, epochs=4))
    assert trainer.fit()[-1].val_accuracy == 1.0


def test_losses_are_fetched_as_rarely_as_the_options_say(operators: OperatorCounter) -> None:
    trainer = make_trainer(options=replace(OPTIONS, epochs=1, read_losses_every=100))
    with operators:
        trainer.fit()
    # Each fetch stacks the losses once. Host synchronizations are no measure: shuffling has some, too.
    per_step = OperatorCounter()
    often = make_trainer(options=replace(OPTIONS, epochs=1, read_losses_every=1))
    with per_step:
        often.fit()
    assert operators.count["stack"] == per_step.count["stack"] - 5


def with_bad_batch(batches: BatchLoader, at: int, value: float) -> BatchLoader:
    """Multiply the images of batch `at` by `value`, so that its loss is bad."""

    class LoaderWithBadBatch:
        batch_size = 8

        def __len__(self) -> int:
            return len(batches)

        def __iter__(self) -> Iterator[Any]:
            for index, (images, labels) in enumerate(batches):
                yield (images * value if index == at else images), labels

    return LoaderWithBadBatch()


def test_a_bad_loss_stops_the_run_and_names_epoch_and_batch(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer = make_trainer(with_bad_batch(make_loader(), 4, math.nan), checkpoint_path=path)
    with pytest.raises(BadLossError, match=r"nan in epoch 1, batch 5"):
        trainer.fit()
    assert not path.exists()


def test_weights_after_a_bad_loss_are_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    options = replace(OPTIONS, checkpoint_every=1, read_losses_every=100)
    with pytest.raises(BadLossError, match="batch 5"):
        make_trainer(with_bad_batch(make_loader(), 4, math.nan), options=options, checkpoint_path=path).fit()
    checkpoint = Checkpoint.load(path)
    assert checkpoint.training["steps_done"] == 4
    assert all(weight.isfinite().all() for weight in checkpoint.weights.values())


def test_a_bad_loss_can_be_skipped_and_is_counted() -> None:
    options = replace(OPTIONS, on_bad_loss="skip", epochs=1)
    result = make_trainer(with_bad_batch(make_loader(), 4, math.inf), options=options).fit()[0]
    assert result.steps_skipped == 1
    assert math.isfinite(result.train_loss)
    assert result.images == 34


def poison_gradients(trainer: Trainer, steps: range) -> None:
    """Make the gradients of the head NaN in these steps, while the loss stays finite."""
    head = trainer.unwrapped_model.get_submodule("head")
    head.get_parameter("weight").register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient * math.nan if trainer.steps_done in steps else gradient
    )


def test_steps_with_bad_gradients_are_skipped_counted_and_not_averaged() -> None:
    options = replace(OPTIONS, on_bad_loss="skip")
    trainer = make_trainer(options=options)
    poison_gradients(trainer, range(1, 3))
    first, second = trainer.fit()
    assert (first.steps_skipped, first.images, second.steps_skipped) == (2, 26, 0)
    assert math.isfinite(first.train_loss)
    assert all(weight.isfinite().all() for weight in trainer.unwrapped_model.state_dict().values())


def test_a_run_that_only_skips_stops_after_so_many_steps_and_names_a_gradient(tmp_path: Path) -> None:
    options = replace(OPTIONS, on_bad_loss="skip", epochs=9, max_skipped_in_a_row=10, checkpoint_every=1)
    trainer = make_trainer(options=options, checkpoint_path=tmp_path / "m.pth")
    poison_gradients(trainer, range(5, 999))
    with pytest.raises(
        BadLossError, match=r"10 steps in a row were skipped until step 15.*head\.weight.*fewer than 10"
    ):
        trainer.fit()
    resumed = make_trainer(options=options)
    resumed.resume(tmp_path / "m.pth")
    assert (resumed.steps_done, resumed.step.skipped_in_a_row) == (14, 9)


def test_a_short_run_that_skips_every_step_fails_and_saves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer = make_trainer(options=replace(OPTIONS, on_bad_loss="skip", epochs=1), checkpoint_path=path)
    poison_gradients(trainer, range(999))
    with pytest.raises(BadLossError, match="all 6 steps were skipped"):
        trainer.fit()
    assert not path.exists()


def test_occasional_skips_do_not_stop_a_run() -> None:
    trainer = make_trainer(options=replace(OPTIONS, on_bad_loss="skip", epochs=3, max_skipped_in_a_row=2))
    poison_gradients(trainer, range(0, 999, 2))
    assert [result.steps_skipped for result in trainer.fit()] == [3, 3, 3]


def test_fp16_may_skip_its_first_steps_to_find_a_scale() -> None:
    trainer = make_trainer(options=replace(OPTIONS, on_bad_loss="skip", epochs=4), preset=FP16)
    trainer.fit()
    assert trainer.step.steps_skipped < trainer.steps


def test_weights_that_a_finite_loss_made_bad_are_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    trainer = make_trainer(options=replace(OPTIONS, epochs=1), checkpoint_path=path)
    poison_gradients(trainer, range(5, 6))  # the last step: no later loss shows it
    with pytest.raises(
        BadLossError, match=r"head\.weight is NaN or infinite after step 6.*nothing was saved"
    ):
        trainer.fit()
    assert not path.exists()


def test_a_loader_without_batches_is_refused() -> None:
    class EmptyLoader:
        def __len__(self) -> int:
            return 0

        def __iter__(self) -> Iterator[Any]:
            return iter(())

    with pytest.raises(DataError, match="no images to train on"):
        make_trainer(EmptyLoader()).fit()


@pytest.mark.parametrize("preset", [EAGER, Preset(accumulate=2)], ids=["one batch", "accumulated"])
@pytest.mark.parametrize("on_bad_loss", ["stop", "skip"])
def test_a_batch_without_images_is_named_and_is_no_bad_loss(preset: Preset, on_bad_loss: Any) -> None:
    """Such as the last batch of a rank that has fewer images than the others."""
    images, labels = torch.zeros(4, 3, 16, 16), torch.arange(4) % 3
    batches = [(images, labels), (images, labels), (images[:0], labels[:0]), (images, labels)]
    trainer = make_trainer(batches, preset=preset, options=replace(OPTIONS, on_bad_loss=on_bad_loss))
    with pytest.raises(DataError, match=r"batch 3 of epoch 1 has no images on rank 0.*uneven='pad'"):
        trainer.fit()
    make_trainer(batches[:2], preset=preset).fit()


def test_out_of_memory_names_a_batch_size_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    forward = trainer.unwrapped_model.forward

    def forward_of_small_batches(images: Tensor) -> Tensor:
        if len(images) > 3:
            raise torch.OutOfMemoryError("planted: out of memory")
        scores: Tensor = forward(images)
        return scores

    monkeypatch.setattr(trainer.unwrapped_model, "forward", forward_of_small_batches)
    with pytest.raises(
        BatchTooLargeError, match=r"batch of 8; a step with 2 fitted.*--gradient-accumulation-steps 4"
    ):
        trainer.fit()


def test_out_of_memory_without_a_trial_names_no_batch_size() -> None:
    with (
        pytest.raises(BatchTooLargeError, match="batch of 8, expected one that fits; take a smaller"),
        suggest_batch_size_on_oom(8, None),
    ):
        raise torch.OutOfMemoryError("planted")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": replace(OPTIONS, learning_rate=0.1)}, "learning_rate 0.05 there, 0.1 here"),
        ({"spec": replace(SPEC, image_size=32)}, "image_size 16 there, 32 here"),
        ({"preset": Preset(accumulate=2)}, "accumulate 1 there, 2 here"),
        ({"batches": make_loader(80)}, "steps_in_epoch 6 there, 10 here.*images 42 there, 80 here"),
    ],
)
def test_resuming_another_run_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    make_trainer().save(path)
    with pytest.raises(DataError, match=message):
        make_trainer(**change).resume(path)


def test_resuming_other_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    make_trainer().save(path)
    other = make_trainer(spec=replace(SPEC, class_names=("cat", "dog")))
    with pytest.raises(DataError, match=r"trained on 3 classes \(cat, dog, fish\), the data have 2 classes"):
        other.resume(path)


def test_weights_alone_cannot_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    Checkpoint(SPEC, SPEC.build().state_dict()).save(path)
    with pytest.raises(DataError, match="without the training's state"):
        make_trainer().resume(path)


def test_resuming_a_finished_run_trains_no_further(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    finished = make_trainer(checkpoint_path=path)
    finished.fit()
    resumed = make_trainer()
    resumed.resume(path)
    resumed.fit()
    assert_same_run(resumed, finished)


class CountingLoader:
    """A ResumableLoader that records which batches it loads."""

    def __init__(self) -> None:
        self.loaded: list[int] = []
        self._batches_given = 0

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[int]:
        for batch in range(self._batches_given, len(self)):
            self.loaded.append(batch)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"batches_given": self._batches_given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._batches_given = state["batches_given"]


def test_a_resumable_loader_does_not_load_the_batches_it_skips() -> None:
    loader = CountingLoader()
    assert isinstance(loader, ResumableLoader)
    assert list(skip_batches(loader, 3)) == [3]
    assert loader.loaded == [3]


def test_skipping_more_batches_than_there_are_is_refused() -> None:
    with pytest.raises(DataError, match="the data have 2 batches, expected at least the 3"):
        skip_batches([1, 2], 3)
