"""One optimizer step: forward, backward, optimize; it waits for the device only where a policy asks it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.stages import stage
from perfsuite.training.distributed.fsdp import check_fsdp_supports, is_sharded
from perfsuite.training.distributed.ranks import (
    check_layout_before_ddp,
    is_finite_on_all_ranks,
    no_gradient_sync,
)
from perfsuite.training.step.activation_checkpointing import checkpoint_blocks
from perfsuite.training.step.compile import CompileCounts, CompiledFunction, compile_counts, is_compile_error
from perfsuite.training.step.presets import EAGER, Preset
from perfsuite.training.step.snapshot import BufferSnapshot, without_side_effects

TensorBatch = tuple[Tensor, Tensor]
LossFunction = Callable[[Tensor, Tensor], Tensor]
T = TypeVar("T")


def group_batches(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    """Batches by `size` to one optimizer step; the last group may be smaller.

    >>> list(group_batches("abcde", 2))
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
    optimizer: torch.optim.Optimizer
    preset: Preset = EAGER
    loss: LossFunction = nn.functional.cross_entropy  # the mean over what `count` counts
    count_labels: Callable[[Tensor], int | Tensor] = (
        len  # of labels: what weighs a batch among those accumulated
    )
    skip_bad_loss: bool = False  # asks the device for every loss: the one wait here, and asked for
    steps_skipped: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.parameters = [one for group in self.optimizer.param_groups for one in group["params"]]
        if not self.parameters:
            raise UsageError("step: the optimizer has no parameters, expected the model's")
        self.device: torch.device = self.parameters[0].device
        if self.preset.cuda_graphs and self.device.type != "cuda":
            raise UsageError(f"step: cuda_graphs on {self.device.type}, expected cuda; leave cuda_graphs out")
        if is_sharded(self.model):
            check_fsdp_supports(self.preset)
        elif self.preset.channels_last:  # parts of parameters have no layout: then images alone have it
            check_layout_before_ddp(self.model)
            self.model.to(memory_format=torch.channels_last)
        if self.preset.checkpointing:
            checkpoint_blocks(_unwrap_ddp(self.model))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.preset.needs_scaler)
        self._counts_at_start = compile_counts() if self.preset.is_compiled else CompileCounts()
        self._counts_after_first_step: CompileCounts | None = None
        self._graphed: _CapturedStep | None = None
        self._forward = CompiledFunction(self._loss_of, self.preset.compile_mode)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.accumulate([(images, labels)])

    def accumulate(self, batches: Sequence[TensorBatch]) -> Tensor:
        """One optimizer step as if all batches were one: each weighs what it counts; sizes may differ."""
        with self.preset.matmul_precision():
            # Kept only where this step may have to be taken back.
            buffers = BufferSnapshot.of(self.model) if self.skip_bad_loss else None
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._gradients(batches)
            if buffers is not None and not is_finite_on_all_ranks(loss, self.model):
                buffers.restore()
                self.steps_skipped += 1
                return loss
            with stage("optimize"):
                self._optimize()
        return loss

    @property
    def fallback_reason(self) -> str | None:
        """Why the step runs uncompiled although the preset says compiled."""
        return self._forward.fell_back

    @property
    def compile_counts(self) -> CompileCounts:
        """Graphs and graph breaks since this step was made (of the whole process: torch counts no finer)."""
        return compile_counts() - self._counts_at_start if self.preset.is_compiled else CompileCounts()

    @property
    def recompiles(self) -> int:
        """Graphs made after the first step, for another shape, say; more than a few and it has not paid."""
        if self._counts_after_first_step is None:
            return 0
        return (compile_counts() - self._counts_after_first_step).graphs

    def _gradients(self, batches: Sequence[TensorBatch]) -> Tensor:
        if not self._forward.is_compiled:
            return self._forward_and_backward(batches)
        if self._counts_after_first_step is not None:
            return self._compiled_gradients(batches)
        # Compiling may fail after half the forward pass has run: then that half must not have counted.
        buffers = BufferSnapshot.of(self.model)
        random = torch.get_rng_state()
        loss = self._compiled_gradients(batches)
        if self.fallback_reason is not None:
            buffers.restore()
            torch.set_rng_state(random)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._forward_and_backward(batches)
        self._counts_after_first_step = compile_counts()
        return loss

    def _compiled_gradients(self, batches: Sequence[TensorBatch]) -> Tensor:
        try:
            return self._forward_and_backward(batches)
        except Exception as error:  # the backward pass is compiled when it is first run
            if not (self._forward.is_compiled and is_compile_error(error)):
                raise
            self._forward.fall_back(error)
        self.optimizer.zero_grad(set_to_none=True)
        return self._forward_and_backward(batches)

    def _forward_and_backward(self, batches: Sequence[TensorBatch]) -> Tensor:
        if len(batches) == 1:
            return self._forward_backward_one(*batches[0], weight=None)
        counts = [self.count_labels(labels) for _, labels in batches]
        total = sum(counts)
        losses = []
        for batch, count in zip(batches[:-1], counts, strict=False):
            with no_gradient_sync(self.model):
                losses.append(self._forward_backward_one(*batch, weight=count / total))
        losses.append(self._forward_backward_one(*batches[-1], weight=counts[-1] / total))
        return torch.stack(losses).sum()

    def _forward_backward_one(self, images: Tensor, labels: Tensor, weight: float | Tensor | None) -> Tensor:
        with stage("forward"), self._autocast():
            if self.preset.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            if self._forward.reuses_output_memory:
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
        return kept.clone() if self._forward.reuses_output_memory or self.preset.cuda_graphs else kept

    def _loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)

    def _autocast(self) -> AbstractContextManager[Any]:
        return self.preset.autocast(self.device)

    def _optimize(self) -> None:
        if self.preset.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.preset.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _graphed_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        if self._graphed is None:
            self._graphed = _CapturedStep.capture(self, images, labels)
        if self._graphed.fits(images, labels):
            replayed: Tensor = self._graphed.replay(images, labels)
            return replayed
        return self._loss_of(images, labels)  # the ragged last batch


@dataclass(frozen=True, slots=True)
class _CapturedStep:
    """Forward and backward of one shape, captured as CUDA graphs."""

    shapes: tuple[torch.Size, torch.Size]
    replay: Any  # called with images and labels, gives the loss

    @staticmethod
    def capture(step: TrainingStep, images: Tensor, labels: Tensor) -> _CapturedStep:
        # Capturing runs the model several times to warm up; those runs must leave no trace.
        with (
            without_side_effects(step.model),
            torch.autocast("cuda", step.preset.autocast_dtype, _uses_autocast(step), False),
        ):
            module = _ModelWithLoss(step.model, step.loss)
            replay = torch.cuda.make_graphed_callables(module, (images, labels))
        return _CapturedStep((images.shape, labels.shape), replay)

    def fits(self, images: Tensor, labels: Tensor) -> bool:
        return self.shapes == (images.shape, labels.shape)


class _ModelWithLoss(nn.Module):
    def __init__(self, model: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)


def _uses_autocast(step: TrainingStep) -> bool:
    return step.preset.autocast_dtype is not None


def _unwrap_ddp(model: nn.Module) -> nn.Module:
    inner = getattr(model, "module", model)
    return inner if isinstance(inner, nn.Module) else model
