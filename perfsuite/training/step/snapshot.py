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


@contextmanager
def without_side_effects(model: nn.Module) -> Iterator[None]:
    """Restore buffers, gradients and torch's RNG states after the block.

    >>> norm = nn.BatchNorm1d(2)
    >>> with without_side_effects(norm):
    ...     _ = norm(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> norm.running_mean
    tensor([0., 0.])
    """
    buffers = BufferSnapshot.of(model)
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        buffers.restore()
        for parameter, gradient in gradients:
            parameter.grad = gradient
