"""Epochs of steps, evaluation and checkpoints; a run that was killed goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from perfsuite.errors import DataError
from perfsuite.stages import iterate_in_stage
from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.distributed.fsdp import (
    gather_full_state_dict,
    gather_full_tensors,
    is_sharded,
    load_optimizer_state,
)
from perfsuite.training.run import rng_state
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.run.evaluation import Evaluation, evaluate
from perfsuite.training.run.loss_meter import LossMeter
from perfsuite.training.run.out_of_memory import suggest_batch_size_on_oom
from perfsuite.training.step.optimizers import (
    OptimizerName,
    ScheduleName,
    learning_rate_schedule,
    make_optimizer,
)
from perfsuite.training.step.presets import EAGER, Preset
from perfsuite.training.step.step import TensorBatch, TrainingStep, group_batches


class BatchLoader(Protocol):
    """A loader: batches of images and labels, as many as `len` says."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True)
class TrainerOptions:
    """How long, how fast and from which seed; what a resumed run must agree in."""

    epochs: int = 1
    learning_rate: float = 0.05
    schedule: ScheduleName = "cosine"
    warmup_steps: int = 0
    optimizer: OptimizerName = "sgd"
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    seed: int = 42
    on_bad_loss: Literal["stop", "skip"] = "stop"
    read_losses_every: int = 20  # steps; each reading waits for the device once
    checkpoint_every: int | None = None  # steps; None writes one after each epoch


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch came to; validation is None where there was nothing to validate on."""

    epoch: int
    images: int
    train_loss: float
    learning_rate: float
    val_loss: float | None = None
    val_accuracy: float | None = None
    steps_skipped: int = 0


class TrainerCallback(Protocol):
    """Told how a training goes: a progress bar, a log."""

    def on_step(self, step: int, steps: int, images: int) -> None: ...

    def on_losses(self, step: int, losses: Sequence[float]) -> None: ...

    def on_epoch(self, result: EpochResult) -> None: ...


def skip_batches(loader: Any, first: int) -> Iterator[Any]:
    """The loader's batches without the first few: not loaded where it can leave them out, else thrown away.

    >>> list(skip_batches(["a", "b", "c"], 1))
    ['b', 'c']
    """
    state = loader.state_dict() if first and hasattr(loader, "state_dict") else {}
    if "batches_given" in state:
        loader.load_state_dict({**state, "batches_given": first})
        first = 0
    batches: Iterator[Any] = iter(loader)
    seen = sum(1 for _ in islice(batches, first))
    if seen < first:
        raise DataError(f"train: {seen} batches where the run to resume had {first}; the data have changed")
    return batches


@dataclass
class Trainer:
    """Trains the recipe's model on `train`, evaluates it on `val` after each epoch."""

    spec: ModelSpec
    train: BatchLoader
    val: BatchLoader | None
    options: TrainerOptions = TrainerOptions()
    preset: Preset = EAGER
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    checkpoint_path: Path | None = None
    callbacks: Sequence[TrainerCallback] = ()
    wrap: Callable[[nn.Module], nn.Module] | None = None  # in DistributedDataParallel, say
    writes_checkpoints: bool = True  # of several ranks, one

    def __post_init__(self) -> None:
        rng_state.seed_everything(self.options.seed)
        self.unwrapped_model: nn.Module = self.spec.build().to(self.device)
        if self.preset.channels_last:  # before it is wrapped: DDP lays its buckets out as weights lie then
            self.unwrapped_model.to(memory_format=torch.channels_last)
        self.model: nn.Module = self.wrap(self.unwrapped_model) if self.wrap else self.unwrapped_model
        optimizer = make_optimizer(
            self.unwrapped_model,
            self.options.optimizer,
            learning_rate=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
            path=self.preset.optimizer_implementation,
        )
        loss = nn.CrossEntropyLoss(label_smoothing=self.options.label_smoothing)
        skips = self.options.on_bad_loss == "skip"
        self.step = TrainingStep(self.model, optimizer, self.preset, loss, skip_bad_loss=skips)
        self.transfer = DeviceTransfer(self.device, self.preset.channels_last, self.spec.mean, self.spec.std)
        self.history: list[EpochResult] = []
        self.book = LossMeter(skip_bad_loss=skips)
        self.steps_done = 0
        self._resumed: dict[str, Any] | None = None

        # Not of the data's length alone: the last batch may hide another batch size.
        self._run_settings = asdict(self.options) | {
            "accumulate": self.preset.accumulate,
            "image_size": self.spec.image_size,
            "batch_size": getattr(self.train, "batch_size", None),
            "steps_in_epoch": self.steps_in_epoch,
        }

    @property
    def steps_in_epoch(self) -> int:
        return -(-len(self.train) // self.preset.accumulate)

    @property
    def steps(self) -> int:
        return self.steps_in_epoch * self.options.epochs

    def fit(self) -> list[EpochResult]:
        """Train until the last epoch, from where the run stands; its results."""
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
        model = self._gathered_model_copy() if is_sharded(self.unwrapped_model) else self.unwrapped_model
        return evaluate(model, batches, self.transfer, self.preset)

    def save(self, path: str | Path) -> None:
        """Everything a later `resume` needs; refuses to keep weights that a bad loss has touched."""
        self._read_losses()
        weights = gather_full_state_dict(self.unwrapped_model)
        training = {
            "run": self._run_settings,
            "steps_done": self.steps_done,
            "optimizer": gather_full_tensors(self.step.optimizer.state_dict()),
            "scaler": self.step.scaler.state_dict(),
            "steps_skipped": self.step.steps_skipped,
            "history": [asdict(result) for result in self.history],
            "epoch_loss": [self.book.total, self.book.images],
            "random": rng_state.get_rng_state(),
        }
        if self.writes_checkpoints:
            Checkpoint(self.spec, weights, training).save(path)

    def resume(self, path: str | Path) -> None:
        """Take up the run that wrote `path`, in the middle of an epoch or between two."""
        checkpoint = Checkpoint.load(path)
        checkpoint.check_compatible(self.spec.model, self.spec.class_names, path)
        found = checkpoint.training
        if not found:
            raise DataError(f"{path}: weights without the training's state, nothing to resume; train anew")
        self._require_same_run(found["run"], path)
        checkpoint.load_into(self.unwrapped_model, path)
        load_optimizer_state(self.step.optimizer, found["optimizer"])
        self.step.scaler.load_state_dict(found["scaler"])
        self.step.steps_skipped = found["steps_skipped"]
        self.steps_done = found["steps_done"]
        self.history = [EpochResult(**result) for result in found["history"]]
        self.book.total, self.book.images = found["epoch_loss"]
        self._resumed = found["random"]

    def _require_same_run(self, found: dict[str, Any], path: str | Path) -> None:
        free = {"read_losses_every", "checkpoint_every"}  # they change nothing of what is learned
        differing = [
            f"{name} {found.get(name)} there, {value} here"
            for name, value in self._run_settings.items()
            if name not in free and found.get(name) != value
        ]
        if differing:
            raise DataError(
                f"{path}: another run ({'; '.join(differing)}); resume with the same settings and data"
            )

    def _train_epoch(self, epoch: int) -> None:
        skipped_before = self.step.steps_skipped
        first_batch = (self.steps_done - epoch * self.steps_in_epoch) * self.preset.accumulate
        if first_batch == 0:
            self.book = LossMeter(skip_bad_loss=self.book.skip_bad_loss)
        self.model.train()
        batch = first_batch
        rate = 0.0
        for group in group_batches(
            iterate_in_stage("load", self._epoch_batches(epoch, first_batch)), self.preset.accumulate
        ):
            rate = self._set_learning_rate()
            batches = [self.transfer(one) for one in group]
            images = sum(len(labels) for _, labels in batches)
            loss = self._step_or_suggest_batch_size(batches)
            self.book.add(loss, epoch=epoch, batch=batch, images=images)
            batch += len(group)
            self.steps_done += 1
            self._after_step(images)
        self._read_losses()
        self._end_epoch(epoch, rate, skipped_before)

    def _epoch_batches(self, epoch: int, first: int) -> Iterator[Any]:
        """The epoch's batches from the `first` on, drawn exactly as if the others had been trained on."""
        rng_state.seed_everything(self.options.seed, epoch + 1)
        rng_state.set_loader_epoch(self.train, self.options.seed, epoch)
        batches = skip_batches(self.train, first)
        if self._resumed is not None:
            if first:
                rng_state.set_rng_state(self._resumed)
            self._resumed = None
        return batches

    def _gathered_model_copy(self) -> nn.Module:
        """A copy that needs no other rank: they may differ in batches, and would wait for ever."""
        with torch.device("meta"):  # no weights drawn, so that the random states stay as they are
            model = self.spec.build()
        model.to_empty(device=self.device)
        model.load_state_dict(gather_full_state_dict(self.unwrapped_model))
        return model

    def _step_or_suggest_batch_size(self, batches: list[TensorBatch]) -> Tensor:
        images, labels = batches[0]

        def try_step(size: int) -> None:
            self._try_step(images[:1], labels[:1], size)

        # Parts of parameters cannot be tried while the other ranks wait elsewhere.
        with suggest_batch_size_on_oom(len(labels), None if is_sharded(self.unwrapped_model) else try_step):
            return self.step.accumulate(batches)

    def _try_step(self, image: Tensor, label: Tensor, size: int) -> None:
        self.step.optimizer.zero_grad(set_to_none=True)
        with self.preset.autocast(self.device):
            scores = self.unwrapped_model(image.repeat(size, 1, 1, 1))
            nn.functional.cross_entropy(scores, label.repeat(size)).backward()  # type: ignore[no-untyped-call]

    def _set_learning_rate(self) -> float:
        rate = self.options.learning_rate * self._rate_at_step(self.steps_done)
        for group in self.step.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _after_step(self, images: int) -> None:
        for watcher in self.callbacks:
            watcher.on_step(self.steps_done, self.steps, images)
        if len(self.book) >= self.options.read_losses_every:
            self._read_losses()
        every = self.options.checkpoint_every
        # The last step of an epoch is kept by the epoch's own checkpoint, with its result.
        if every and self.steps_done % every == 0 and self.steps_done % self.steps_in_epoch:
            self._save()

    def _read_losses(self) -> None:
        losses = self.book.fetch()
        for watcher in self.callbacks if losses else ():
            watcher.on_losses(self.steps_done, losses)

    def _end_epoch(self, epoch: int, rate: float, skipped_before: int) -> None:
        evaluation = self.evaluate(self.val) if self.val is not None else None
        result = EpochResult(
            epoch=epoch,
            images=self.book.images,
            train_loss=self.book.mean,
            learning_rate=rate,
            val_loss=evaluation.loss if evaluation else None,
            val_accuracy=evaluation.accuracy if evaluation else None,
            steps_skipped=self.step.steps_skipped - skipped_before,
        )
        self.history.append(result)
        for watcher in self.callbacks:
            watcher.on_epoch(result)
        self._save()

    def _save(self) -> None:
        if self.checkpoint_path is not None:
            self.save(self.checkpoint_path)
