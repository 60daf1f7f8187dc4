"""Whether a step's loss and gradients are finite, on every rank, at the cost of one synchronization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perfsuite.training.distributed.wrapping import wrapping_of


@dataclass(frozen=True, slots=True)
class FiniteCheck:
    """Whether the loss and all gradients are neither NaN nor infinite, on every rank."""

    loss: bool
    gradients: bool

    @property
    def passed(self) -> bool:
        return self.loss and self.gradients


def check_finite(loss: Tensor, parameters: Sequence[Tensor], model: nn.Module) -> FiniteCheck:
    """Check the loss and the gradients; all ranks of `model` get the same answer.

    >>> weight = torch.ones(2, requires_grad=True)
    >>> weight.grad = torch.tensor([1.0, float("inf")])
    >>> check_finite(torch.tensor(1.0), [weight], nn.Identity())
    FiniteCheck(loss=True, gradients=False)
    """
    gradients = [gradient for gradient in map(_local_gradient, parameters) if gradient is not None]
    flags = torch.stack([loss.isfinite().all(), _all_finite(gradients, loss)]).to(torch.int32)
    if wrapping_of(model) != "none":
        dist.all_reduce(flags, dist.ReduceOp.MIN)
    encoded = int((flags[0] + 2 * flags[1]).item())  # the only synchronization
    return FiniteCheck(bool(encoded & 1), bool(encoded & 2))


def first_nonfinite_gradient(model: nn.Module) -> str | None:
    """Return the name of the first parameter whose gradient on this rank is not finite, or None."""
    for name, parameter in model.named_parameters():
        gradient = _local_gradient(parameter)
        if gradient is not None and not gradient.isfinite().all():
            return name
    return None


def _all_finite(gradients: Sequence[Tensor], loss: Tensor) -> Tensor:
    """Return whether all gradients are finite, as a tensor on the loss's device."""
    finite = torch.ones_like(loss, dtype=torch.bool)
    for dtype in {gradient.dtype for gradient in gradients}:
        same = [gradient for gradient in gradients if gradient.dtype == dtype]
        # The largest absolute value cannot overflow, as a sum of squares can.
        finite = finite & nn.utils.get_total_norm(same, math.inf).isfinite().to(loss.device)
    return finite


def _local_gradient(parameter: Tensor) -> Tensor | None:
    """Return this rank's part of the gradient; None without a gradient, or with an empty part."""
    gradient: Any = parameter.grad
    if hasattr(gradient, "to_local"):  # sharded
        gradient = gradient.to_local()
    return gradient if gradient is not None and gradient.numel() else None
