"""One optimizer step: forward, backward, optimize, without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.stages import stage
from perfsuite.training.devices import TensorBatch
from perfsuite.training.distributed.ddp import check_layout_before_ddp
from perfsuite.training.distributed.wrapping import no_gradient_sync, wrapping_of
from perfsuite.training.step.activation_checkpointing import checkpoint_blocks
from perfsuite.training.step.compile import CompileCounts, CompiledFunction, compile_counts, is_compile_error
from perfsuite.training.step.cuda_graphs import CapturedStep
from perfsuite.training.step.finite import check_finite
from perfsuite.training.step.presets import EAGER, Preset
from perfsuite.training.step.snapshot import BufferSnapshot, ForwardSnapshot

LossFunction = Callable[[Tensor, Tensor], Tensor]  # scores and labels to a scalar
T = TypeVar("T")


def group_batches(batches: Iterable[T], size: int) -> Iterator[list[T]]:
    """Group batches by `size`, one group per optimizer step; the last group may be smaller.

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
    """A training step of `model`: `step(images, labels)`, or `step.accumulate(batches)` for several as one.

    Returns the mean loss as a device tensor, without synchronizing. Gradients stay until the next step.

    >>> model = nn.Linear(4, 3)
    >>> step = TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> before = step(torch.ones(2, 4), torch.tensor([0, 1]))
    >>> bool(step(torch.ones(2, 4), torch.tensor([0, 1])) < before)
    True
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    preset: Preset = EAGER
    loss: LossFunction = nn.functional.cross_entropy  # the mean over the labels that `count_labels` counts
    count_labels: Callable[[Tensor], int | Tensor] = len  # the weight of a batch among those accumulated
    # Skip a step whose loss or gradients are NaN or infinite; synchronizes once at every step.
    skip_bad_loss: bool = False
    steps_skipped: int = field(default=0, init=False)
    skipped_in_a_row: int = field(default=0, init=False)  # 0 after a step that was taken

    def __post_init__(self) -> None:
        self.parameters = [
            parameter for group in self.optimizer.param_groups for parameter in group["params"]
        ]
        if not self.parameters:
            raise UsageError("step: the optimizer has no parameters, expected the model's; pass them to it")
        self.device: torch.device = self.parameters[0].device
        if self.preset.cuda_graphs and self.device.type != "cuda":
            raise UsageError(f"step: cuda_graphs on {self.device.type}, expected cuda; leave cuda_graphs out")
        if wrapping_of(self.model) == "fsdp":
            _check_fsdp_supports(self.preset)
        elif self.preset.channels_last:  # shards have no memory layout, so with fsdp only images get it
            check_layout_before_ddp(self.model)
            self.model.to(memory_format=torch.channels_last)
        if self.preset.activation_checkpointing:
            checkpoint_blocks(_unwrap_ddp(self.model))
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.preset.needs_scaler)
        self._counts_at_start = compile_counts() if self.preset.is_compiled else CompileCounts()
        self._counts_after_first_step: CompileCounts | None = None
        self._captured: CapturedStep | None = None
        self._forward = CompiledFunction(self._loss_of, self.preset.compile_mode)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.accumulate([(images, labels)])

    def accumulate(self, batches: Sequence[TensorBatch]) -> Tensor:
        """Take one optimizer step for all batches, of any sizes, each weighted by its label count."""
        with self.preset.matmul_precision():
            # Copied only if this step may have to be undone.
            buffers = BufferSnapshot.of(self.model) if self.skip_bad_loss else None
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._gradients(batches)
            if buffers is not None and self._must_skip(loss):
                buffers.restore()
                return loss
            with stage("optimize"):
                self._optimize()
        return loss

    def _must_skip(self, loss: Tensor) -> bool:
        check = check_finite(loss, self.parameters, self.model)
        if check.passed:
            self.skipped_in_a_row = 0
            return False
        if check.loss and self.scaler.is_enabled():
            # The scaled gradients overflowed: unscaling records that, and updating lowers the scale.
            self.scaler.unscale_(self.optimizer)
            self.scaler.update()
        self.steps_skipped += 1
        self.skipped_in_a_row += 1
        return True

    @property
    def fallback_reason(self) -> str | None:
        """Why the step runs uncompiled although the preset compiles; None if it does not."""
        return self._forward.fallback_reason

    @property
    def compile_counts(self) -> CompileCounts:
        """Graphs and graph breaks since this step was made.

        They include those of other steps: torch counts per process.
        """
        return compile_counts() - self._counts_at_start if self.preset.is_compiled else CompileCounts()

    @property
    def recompiles(self) -> int:
        """Graphs compiled after the first step, for example for another batch shape."""
        if self._counts_after_first_step is None:
            return 0
        return (compile_counts() - self._counts_after_first_step).graphs

    def _gradients(self, batches: Sequence[TensorBatch]) -> Tensor:
        if not self._forward.is_compiled:
            return self._forward_and_backward(batches)
        is_first = self._counts_after_first_step is None
        # A later step may compile too, for another batch shape; it is not undone, for copies take time.
        before = ForwardSnapshot.of(self.model) if is_first else None
        loss = self._compiled_gradients(batches)
        if loss is None:
            if before is not None:
                before.restore()
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._forward_and_backward(batches)
        if is_first:
            self._counts_after_first_step = compile_counts()
        return loss

    def _compiled_gradients(self, batches: Sequence[TensorBatch]) -> Tensor | None:
        """None where the compiler failed; from then on the step runs uncompiled."""
        try:
            return self._forward_and_backward(batches)
        except Exception as error:  # torch compiles the backward pass when it first runs
            if not is_compile_error(error):
                raise
            self._forward.fall_back(error)
        return None

    def _forward_and_backward(self, batches: Sequence[TensorBatch]) -> Tensor:
        if len(batches) == 1:
            return self._forward_backward_batch(*batches[0], weight=None)
        counts = [self.count_labels(labels) for _, labels in batches]
        total = sum(counts)
        losses = []
        for batch, count in zip(batches[:-1], counts, strict=False):
            with no_gradient_sync(self.model):
                losses.append(self._forward_backward_batch(*batch, weight=count / total))
        losses.append(self._forward_backward_batch(*batches[-1], weight=counts[-1] / total))
        return torch.stack(losses).sum()

    def _forward_backward_batch(
        self, images: Tensor, labels: Tensor, weight: float | Tensor | None
    ) -> Tensor:
        with stage("forward"), self.preset.autocast(self.device):
            if self.preset.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            if self._forward.reuses_output_memory:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            loss = (
                self._captured_loss(images, labels)
                if self.preset.cuda_graphs
                else self._forward.active(images, labels)
            )
            if weight is not None:
                loss = loss * weight
        with stage("backward"):
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        return loss.clone() if self._forward.reuses_output_memory or self.preset.cuda_graphs else loss

    def _loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.loss(self.model(images), labels)

    def _optimize(self) -> None:
        if self.preset.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.preset.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _captured_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        if self._captured is None:
            self._captured = CapturedStep.capture(self.model, self.loss, self.preset, images, labels)
        if self._captured.fits(images, labels):
            return self._captured.replay(images, labels)
        return self._loss_of(images, labels)  # a smaller last batch


def _check_fsdp_supports(preset: Preset) -> None:
    """Refuse what torch cannot do with sharded parameters, or what no test covers with them."""
    unsupported = {
        "fp16": preset.needs_scaler,
        "compile_mode": preset.is_compiled,
        "cuda_graphs": preset.cuda_graphs,
        "fused": preset.optimizer_implementation == "fused",
    }
    requested = [name for name, is_requested in unsupported.items() if is_requested]
    if requested:
        raise UsageError(
            f"fsdp: {', '.join(requested)} with sharded parameters, expected none of "
            f"{', '.join(unsupported)}; leave them out or train without fsdp (bf16 works in place of fp16)"
        )


def _unwrap_ddp(model: nn.Module) -> nn.Module:
    inner: Any = getattr(model, "module", model) if wrapping_of(model) == "ddp" else model
    return inner if isinstance(inner, nn.Module) else model
