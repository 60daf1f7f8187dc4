"""The training loop: epochs of steps, evaluation, checkpoints, and resuming bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from perfsuite.errors import DataError
from perfsuite.stages import iterate_in_stage
from perfsuite.training.devices import DeviceTransfer, TensorBatch
from perfsuite.training.distributed.fsdp import (
    gather_full_copy,
    gather_full_state_dict,
    gather_full_tensors,
    load_optimizer_state,
)
from perfsuite.training.distributed.ranks import SINGLE_PROCESS, Rank
from perfsuite.training.distributed.wrapping import wrapping_of
from perfsuite.training.run import rng_state
from perfsuite.training.run.bad_steps import check_finite_weights, check_steps_are_taken
from perfsuite.training.run.batch_loader import (
    BatchLoader,
    refuse_empty_batches,
    set_loader_epoch,
    skip_batches,
)
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.data_identity import identify_loader
from perfsuite.training.run.evaluation import Evaluation, evaluate
from perfsuite.training.run.loss_meter import LossMeter
from perfsuite.training.run.out_of_memory import suggest_batch_size_on_oom, try_batch
from perfsuite.training.run.progress import EpochResult, TrainerCallback
from perfsuite.training.run.resume import TrainingState, check_same_run
from perfsuite.training.step.lr_schedules import ScheduleName, learning_rate_schedule
from perfsuite.training.step.optimizers import OptimizerName, check_optimizer_name, make_optimizer
from perfsuite.training.step.presets import EAGER, Preset
from perfsuite.training.step.step import TrainingStep, group_batches


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """The length, learning rate and seed of a run; a resumed run must have the same."""

    epochs: int = 1
    learning_rate: float = 0.05  # the peak
    schedule: ScheduleName = "cosine"
    warmup_steps: int = 0
    optimizer: OptimizerName = "sgd"
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    seed: int = 42
    # "skip" leaves out steps with a bad loss or bad gradients, which costs a synchronization per step.
    on_bad_loss: Literal["stop", "skip"] = "stop"
    max_skipped_in_a_row: int = 20  # more than fp16 needs to find its scale
    read_losses_every: int = 20  # steps; each reading waits for the device once
    checkpoint_every: int | None = None  # steps; None writes one after each epoch

    def __post_init__(self) -> None:
        check_optimizer_name(self.optimizer)


@dataclass
class Trainer:
    """Trains the model of `spec` on `train`, and evaluates it on `val` after each epoch.

    With several ranks, each trains on its own batches with DistributedDataParallel, or with sharded
    parameters if `fsdp`; the first rank writes the checkpoints.
    """

    spec: ModelSpec
    train: BatchLoader
    val: BatchLoader | None
    _: KW_ONLY
    options: TrainerOptions = TrainerOptions()
    preset: Preset = EAGER
    rank: Rank = SINGLE_PROCESS
    fsdp: bool = False
    checkpoint_path: Path | None = None
    callbacks: Sequence[TrainerCallback] = ()
    history: list[EpochResult] = field(default_factory=list, init=False)
    steps_done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        rng_state.seed_everything(self.options.seed)
        self.unwrapped_model: nn.Module = self.spec.build().to(self.device)
        if self.preset.channels_last:  # before wrapping: DDP lays out its buckets like the weights
            self.unwrapped_model.to(memory_format=torch.channels_last)
        wrap = self.rank.wrap_fsdp if self.fsdp else self.rank.wrap_ddp
        self.model: nn.Module = wrap(self.unwrapped_model)
        optimizer = make_optimizer(
            self.unwrapped_model,
            self.options.optimizer,
            learning_rate=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
            implementation=self.preset.optimizer_implementation,
        )
        loss = nn.CrossEntropyLoss(label_smoothing=self.options.label_smoothing)
        skip_bad_loss = self.options.on_bad_loss == "skip"
        self.step = TrainingStep(self.model, optimizer, self.preset, loss, skip_bad_loss=skip_bad_loss)
        self.transfer = DeviceTransfer(self.device, self.preset.channels_last, self.spec.mean, self.spec.std)
        self._losses = LossMeter()
        self._rng_state_to_restore: dict[str, Any] | None = None

        self._settings = asdict(self.options) | {
            **asdict(self.preset),
            "image_size": self.spec.image_size,
            "mean": list(self.spec.mean),
            "std": list(self.spec.std),
            "world_size": self.rank.world_size,
            "steps_in_epoch": self.steps_in_epoch,
        }

    @property
    def device(self) -> torch.device:
        return self.rank.device

    @property
    def effective_preset(self) -> Preset:
        """The preset that runs: uncompiled after a compiler error."""
        return self.preset if self.step.fallback_reason is None else replace(self.preset, compile_mode="off")

    @cached_property
    def _data_identity(self) -> dict[str, Any]:
        return identify_loader(self.train)

    @property
    def steps_in_epoch(self) -> int:
        return -(-len(self.train) // self.preset.accumulate)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.steps_in_epoch * self.options.epochs

    def fit(self) -> list[EpochResult]:
        """Train until the last epoch; return the results of all epochs, also those before a resume."""
        if len(self.train) == 0:
            raise DataError(
                "train: no images to train on, expected at least one batch; look at the data's folder"
            )
        self._rate_at_step = learning_rate_schedule(
            self.options.schedule, self.steps, self.options.warmup_steps
        )
        for epoch in range(self.steps_done // self.steps_in_epoch, self.options.epochs):
            self._train_epoch(epoch)
        return self.history

    def evaluate(self, batches: Iterable[Any]) -> Evaluation | None:
        """Evaluate the model as it is, over the batches of all ranks; None if there is no image."""
        model = self.unwrapped_model
        if wrapping_of(model) == "fsdp":
            model = gather_full_copy(model, self.spec.build, self.device)
        return evaluate(model, batches, self.transfer, self.preset)

    def save(self, path: str | Path) -> None:
        """Write everything that `resume` needs; after a bad loss or update raise BadLossError instead."""
        self._read_losses()
        weights = gather_full_state_dict(self.unwrapped_model)
        check_finite_weights(weights, self.steps_done)
        state = TrainingState(
            settings=self._settings,
            data=self._data_identity if self.rank.is_first else {},
            steps_done=self.steps_done,
            optimizer=gather_full_tensors(self.step.optimizer.state_dict()["state"]),
            grad_scaler=self.step.scaler.state_dict(),
            steps_skipped=self.step.steps_skipped,
            skipped_in_a_row=self.step.skipped_in_a_row,
            history=list(self.history),
            epoch_loss_total=self._losses.total,
            epoch_images=self._losses.images,
            rng_state=rng_state.get_rng_state(),
        )
        if self.rank.is_first:
            Checkpoint(self.spec, weights, state.to_dict()).save(path)

    def resume(self, path: str | Path) -> None:
        """Restore the run that wrote `path`, in the middle of an epoch or between two.

        Everything that is learned from must agree; `MAY_DIFFER` in resume.py lists what need not.
        """
        checkpoint = Checkpoint.load(path)
        checkpoint.check_compatible(self.spec.model, self.spec.class_names, path)
        state = TrainingState.from_checkpoint(checkpoint, path)
        # Other ranks have other images.
        there, here = (state.data, self._data_identity) if self.rank.is_first else ({}, {})
        check_same_run({**state.settings, **there}, {**self._settings, **here}, path)
        if state.steps_done > self.steps:
            raise DataError(
                f"{path}: {state.steps_done} steps done, expected at most the {self.steps} of "
                f"{self.options.epochs} epochs; train for as many epochs or more"
            )
        state.check_fits(self.step.optimizer, self.step.scaler, path)
        checkpoint.load_into(self.unwrapped_model, path)
        load_optimizer_state(self.step.optimizer, state.optimizer)
        self.step.scaler.load_state_dict(state.grad_scaler)
        self.step.steps_skipped = state.steps_skipped
        self.step.skipped_in_a_row = state.skipped_in_a_row
        self.steps_done = state.steps_done
        self.history = list(state.history)
        self._losses.total, self._losses.images = state.epoch_loss_total, state.epoch_images
        self._rng_state_to_restore = state.rng_state

    def _train_epoch(self, epoch: int) -> None:
        skipped_before = self.step.steps_skipped
        first_batch = (self.steps_done - epoch * self.steps_in_epoch) * self.preset.accumulate
        if first_batch == 0:
            self._losses = LossMeter()
        self.model.train()
        batch = first_batch
        rate = 0.0
        for group in group_batches(
            iterate_in_stage("load", self._epoch_batches(epoch, first_batch)), self.preset.accumulate
        ):
            rate = self._set_learning_rate()
            batches = [self.transfer(loaded) for loaded in group]
            refuse_empty_batches(batches, epoch=epoch, first=batch, rank=self.rank.index)
            images = sum(len(labels) for _, labels in batches)
            loss = self._step_or_suggest_batch_size(batches)
            is_skipped = self.step.skipped_in_a_row > 0
            self._losses.add(loss, epoch=epoch, batch=batch, images=images, is_skipped=is_skipped)
            batch += len(group)
            self.steps_done += 1
            self._after_step(images)
        self._read_losses()
        self._end_epoch(epoch, rate, skipped_before)

    def _epoch_batches(self, epoch: int, first: int) -> Iterator[Any]:
        """Return the epoch's batches from `first` on, with the draws of an uninterrupted epoch."""
        rng_state.seed_everything(self.options.seed, epoch + 1)
        set_loader_epoch(self.train, self.options.seed, epoch)
        batches = skip_batches(self.train, first)
        if self._rng_state_to_restore is not None:
            if first:
                rng_state.set_rng_state(self._rng_state_to_restore)
            self._rng_state_to_restore = None
        return batches

    def _step_or_suggest_batch_size(self, batches: list[TensorBatch]) -> Tensor:
        images, labels = batches[0]

        def try_batch_size(size: int) -> None:
            self.step.optimizer.zero_grad(set_to_none=True)
            with self.preset.autocast(self.device):
                try_batch(self.unwrapped_model, images[:1], labels[:1], size)

        # A sharded model cannot run a step on this rank alone.
        is_sharded = wrapping_of(self.unwrapped_model) == "fsdp"
        with suggest_batch_size_on_oom(len(labels), None if is_sharded else try_batch_size):
            return self.step.accumulate(batches)

    def _set_learning_rate(self) -> float:
        rate = self.options.learning_rate * self._rate_at_step(self.steps_done)
        for group in self.step.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _after_step(self, images: int) -> None:
        check_steps_are_taken(
            self.step,
            self.unwrapped_model,
            steps_done=self.steps_done,
            steps=self.steps,
            max_in_a_row=self.options.max_skipped_in_a_row,
        )
        for callback in self.callbacks:
            callback.on_step(self.steps_done, self.steps, images)
        if len(self._losses) >= self.options.read_losses_every:
            self._read_losses()
        every = self.options.checkpoint_every
        # After an epoch's last step `_end_epoch` saves, with the epoch's result.
        if every and self.steps_done % every == 0 and self.steps_done % self.steps_in_epoch:
            self._save()

    def _read_losses(self) -> None:
        losses = self._losses.fetch()
        for callback in self.callbacks if losses else ():
            callback.on_losses(self.steps_done, losses)

    def _end_epoch(self, epoch: int, rate: float, skipped_before: int) -> None:
        evaluation = self.evaluate(self.val) if self.val is not None else None
        result = EpochResult(
            epoch=epoch,
            images=self._losses.images,
            train_loss=self._losses.mean,
            learning_rate=rate,
            val_loss=evaluation.loss if evaluation else None,
            val_accuracy=evaluation.accuracy if evaluation else None,
            steps_skipped=self.step.steps_skipped - skipped_before,
        )
        self.history.append(result)
        for callback in self.callbacks:
            callback.on_epoch(result)
        self._save()

    def _save(self) -> None:
        if self.checkpoint_path is not None:
            self.save(self.checkpoint_path)
