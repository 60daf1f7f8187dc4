"""One optimiser step: forward, backward, optimise; it waits for the device only where a policy asks it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.stages import stage
from perfsuite.training.checkpointing import checkpoint_blocks
from perfsuite.training.compiled import Compilation, Compiled, compilation_so_far, is_compile_error
from perfsuite.training.distributed import (
    is_finite_everywhere,
    require_layout_before_wrapping,
    unsynchronised,
)
from perfsuite.training.presets import EAGER, Preset
from perfsuite.training.sharded import is_sharded, require_shardable
from perfsuite.training.snapshot import Buffers, undone

Batch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]
T = TypeVar("T")


def groups(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    """Batches by `size` to one optimiser step; the last group may be smaller.

    >>> list(groups("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    group: list[T] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


@dataclass
class TrainingStep:
    """A step of `model`: `step(images, labels)`, or `step.accumulated(batches)` for several as one.

    Returns the mean loss as a device tensor that nobody has waited for. Gradients stay until the next step.

    >>> model = nn.Linear(4, 3)
    >>> step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> before = step(torch.ones(2, 4), torch.tensor([0, 1]))
    >>> bool(step(torch.ones(2, 4), torch.tensor([0, 1])) < before)
    True
    """

    model: nn.Module
    optimiser: torch.optim.Optimizer
    preset: Preset = EAGER
    loss: LossFunction = nn.functional.cross_entropy  # the mean over what `count` counts
    count: Callable[[Tensor], int | Tensor] = len  # of labels: what weighs a batch among those accumulated
    skip_bad_loss: bool = False  # asks the device for every loss: the one wait here, and asked for
    steps_skipped: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.parameters = [one for group in self.optimiser.param_groups for one in group["params"]]
        if not self.parameters:
            raise UsageError("step: the optimiser has no parameters, expected the model's")
        self.device: torch.device = self.parameters[0].device
        if self.preset.cuda_graphs and self.device.type != "cuda":
            raise UsageError(f"step: cuda_graphs on {self.device.type}, expected cuda; leave cuda_graphs out")
        if is_sharded(self.model):
            require_shardable(self.preset)
        elif self.preset.channels_last:  # parts of parameters have no layout: then pictures alone have it
            require_layout_before_wrapping(self.model)
            self.model.to(memory_format=torch.channels_last)
        if self.preset.checkpointing:
            checkpoint_blocks(_unwrapped(self.model))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.preset.needs_scaler)
        self._before = compilation_so_far() if self.preset.is_compiled else Compilation()
        self._first_step: Compilation | None = None
        self._graphed: _Graphed | None = None
        self._forward = Compiled(self._loss_of, self.preset.compile_mode)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.accumulated([(images, labels)])

    def accumulated(self, batches: Sequence[Batch]) -> Tensor:
        """One optimiser step as if all batches were one: each weighs what it counts; sizes may differ."""
        with self.preset.matmul_precision():
            # Kept only where this step may have to be taken back.
            buffers = Buffers.of(self.model) if self.skip_bad_loss else None
            self.optimiser.zero_grad(set_to_none=True)
            loss = self._gradients(batches)
            if buffers is not None and not is_finite_everywhere(loss, self.model):
                buffers.restore()
                self.steps_skipped += 1
                return loss
            with stage("optimise"):
                self._optimise()
        return loss

    @property
    def fell_back(self) -> str | None:
        """Why the step runs uncompiled although the preset says compiled."""
        return self._forward.fell_back

    @property
    def compilation(self) -> Compilation:
        """Graphs and graph breaks since this step was made (of the whole process: torch counts no finer)."""
        return compilation_so_far() - self._before if self.preset.is_compiled else Compilation()

    @property
    def recompiles(self) -> int:
        """Graphs made after the first step, for another shape, say; more than a few and it has not paid."""
        if self._first_step is None:
            return 0
        return (compilation_so_far() - self._first_step).graphs

    def _gradients(self, batches: Sequence[Batch]) -> Tensor:
        if not self._forward.is_compiled:
            return self._forward_and_backward(batches)
        if self._first_step is not None:
            return self._compiled_gradients(batches)
        # Compiling may fail after half the forward pass has run: then that half must not have counted.
        buffers = Buffers.of(self.model)
        random = torch.get_rng_state()
        loss = self._compiled_gradients(batches)
        if self.fell_back is not None:
            buffers.restore()
            torch.set_rng_state(random)
            self.optimiser.zero_grad(set_to_none=True)
            loss = self._forward_and_backward(batches)
        self._first_step = compilation_so_far()
        return loss

    def _compiled_gradients(self, batches: Sequence[Batch]) -> Tensor:
        try:
            return self._forward_and_backward(batches)
        except Exception as error:  # the backward pass is compiled when it is first run
            if not (self._forward.is_compiled and is_compile_error(error)):
                raise
            self._forward.fall_back(error)
        self.optimiser.zero_grad(set_to_none=True)
        return self._forward_and_backward(batches)

    def _forward_and_backward(self, batches: Sequence[Batch]) -> Tensor:
        if len(batches) == 1:
            return self._one(*batches[0], weight=None)
        counts = [self.count(labels) for _, labels in batches]
        total = sum(counts)
        losses = []
        for batch, count in zip(batches[:-1], counts, strict=False):
            with unsynchronised(self.model):
                losses.append(self._one(*batch, weight=count / total))
        losses.append(self._one(*batches[-1], weight=counts[-1] / total))
        return torch.stack(losses).sum()

    def _one(self, images: Tensor, labels: Tensor, weight: float | Tensor | None) -> Tensor:
        with stage("forward"), self._autocast():
            if self.preset.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            if self._forward.overwrites_its_results:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            loss = (
                self._graphed_loss(images, labels)
                if self.preset.cuda_graphs
                else self._forward(images, labels)
            )
            if weight is not None:
                loss = loss * weight
        with stage("backward"):
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        kept = loss.detach()
        return kept.clone() if self._forward.overwrites_its_results or self.preset.cuda_graphs else kept

    def _loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)

    def _autocast(self) -> AbstractContextManager[Any]:
        return self.preset.autocast(self.device)

    def _optimise(self) -> None:
        if self.preset.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.parameters, self.preset.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _graphed_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        if self._graphed is None:
            self._graphed = _Graphed.capture(self, images, labels)
        if self._graphed.fits(images, labels):
            replayed: Tensor = self._graphed.replay(images, labels)
            return replayed
        return self._loss_of(images, labels)  # the ragged last batch


@dataclass(frozen=True, slots=True)
class _Graphed:
    """Forward and backward of one shape, captured as CUDA graphs."""

    shapes: tuple[torch.Size, torch.Size]
    replay: Any  # called with images and labels, gives the loss

    @staticmethod
    def capture(step: TrainingStep, images: Tensor, labels: Tensor) -> _Graphed:
        # Capturing runs the model several times to warm up; those runs must leave no trace.
        with undone(step.model), torch.autocast("cuda", step.preset.autocast_dtype, _has_amp(step), False):
            module = _Loss(step.model, step.loss)
            replay = torch.cuda.make_graphed_callables(module, (images, labels))
        return _Graphed((images.shape, labels.shape), replay)

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        return self.shapes == (images.shape, labels.shape)


class _Loss(nn.Module):
    def __init__(self, model: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)


def _has_amp(step: TrainingStep) -> bool:
    return step.preset.autocast_dtype is not None


def _unwrapped(model: nn.Module) -> nn.Module:
    inner = getattr(model, "module", model)
    return inner if isinstance(inner, nn.Module) else model
