"""Snapshots of what a forward pass changes besides gradients: buffers (running statistics) and RNG states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class BufferSnapshot:
    """A copy of a model's buffers, to undo a forward pass."""

    live: list[Tensor]
    saved: list[Tensor]

    @staticmethod
    def of(model: nn.Module) -> BufferSnapshot:
        live = list(model.buffers())
        return BufferSnapshot(live, [buffer.detach().clone() for buffer in live])

    def restore(self) -> None:
        with torch.no_grad():
            for live, saved in zip(self.live, self.saved, strict=True):
                live.copy_(saved)


@dataclass(frozen=True, slots=True)
class ForwardSnapshot:
    """What a forward pass changes: buffers, and the states of torch's RNGs on the CPU and on all GPUs."""

    buffers: BufferSnapshot
    cpu_rng: Tensor
    cuda_rngs: list[Tensor]

    @staticmethod
    def of(model: nn.Module) -> ForwardSnapshot:
        cuda_rngs = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return ForwardSnapshot(BufferSnapshot.of(model), torch.get_rng_state(), cuda_rngs)

    def restore(self) -> None:
        self.buffers.restore()
        torch.set_rng_state(self.cpu_rng)
        if self.cuda_rngs:
            torch.cuda.set_rng_state_all(self.cuda_rngs)


@contextmanager
def without_side_effects(model: nn.Module) -> Iterator[None]:
    """Restore buffers, gradients and torch's RNG states after the block.

    >>> norm = nn.BatchNorm1d(2)
    >>> with without_side_effects(norm):
    ...     _ = norm(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> norm.running_mean
    tensor([0., 0.])
    """
    before = ForwardSnapshot.of(model)
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        before.restore()
        for parameter, gradient in gradients:
            parameter.grad = gradient
