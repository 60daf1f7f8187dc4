"""Optimizers by name, with weight decay where it belongs; learning rates as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.step.presets import OptimizerImplementation

OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["constant", "cosine", "one_cycle"]

IMPLEMENTATION_ARGUMENTS: dict[OptimizerImplementation, dict[str, bool]] = {
    "auto": {},
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "loop": {"foreach": False, "fused": False},
}
FINAL_RATE_FRACTION = 0.01  # of the peak rate, at the last step of cosine and one-cycle
ONE_CYCLE_INITIAL_FRACTION = 0.04
ONE_CYCLE_WARMUP_FRACTION = 0.3


def make_optimizer(
    model: nn.Module,
    name: OptimizerName = "sgd",
    *,
    learning_rate: float,
    weight_decay: float = 5e-4,
    momentum: float = 0.9,
    path: OptimizerImplementation = "auto",
) -> torch.optim.Optimizer:
    """An optimizer whose decay spares biases and norms (everything of one dimension).

    >>> optimizer = make_optimizer(nn.Linear(2, 2), learning_rate=0.1)
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    [(1, 0.0005), (1, 0.0)]
    """
    learned = [one for one in model.parameters() if one.requires_grad]
    parts: list[dict[str, Any]] = [
        {"params": [one for one in learned if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in learned if one.ndim <= 1], "weight_decay": 0.0},
    ]
    parts = [part for part in parts if part["params"]]
    if not parts:
        raise UsageError(f"optimizer: {type(model).__name__} has no parameters that learn; thaw some")
    if name == "sgd":
        return torch.optim.SGD(
            parts,
            lr=learning_rate,
            momentum=momentum,
            nesterov=momentum > 0,
            **IMPLEMENTATION_ARGUMENTS[path],
        )
    if name == "adamw":
        return torch.optim.AdamW(parts, lr=learning_rate, **IMPLEMENTATION_ARGUMENTS[path])  # type: ignore[arg-type]
    raise UsageError(f"optimizer: {name!r} is not known, expected sgd or adamw")


def learning_rate_schedule(name: ScheduleName, steps: int, warmup_steps: int = 0) -> Callable[[int], float]:
    """The share of the peak learning rate at a step: nothing to save and nothing to restore.

    >>> rate = learning_rate_schedule("cosine", steps=100)
    >>> [round(rate(step), 3) for step in (0, 50, 99)]
    [1.0, 0.497, 0.01]
    """
    if name not in SCHEDULES:
        raise UsageError(f"schedule: {name!r} is not known, expected {', '.join(SCHEDULES)}")
    shape = SCHEDULES[name]
    last = max(steps - warmup_steps - 1, 1)

    def share(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return shape(min((step - warmup_steps) / last, 1.0))

    return share


def _cosine(done: float) -> float:
    return _cosine_interpolation(1.0, FINAL_RATE_FRACTION, done)


def _one_cycle(done: float) -> float:
    if done < ONE_CYCLE_WARMUP_FRACTION:
        return _cosine_interpolation(ONE_CYCLE_INITIAL_FRACTION, 1.0, done / ONE_CYCLE_WARMUP_FRACTION)
    return _cosine_interpolation(
        1.0, FINAL_RATE_FRACTION, (done - ONE_CYCLE_WARMUP_FRACTION) / (1 - ONE_CYCLE_WARMUP_FRACTION)
    )


def _cosine_interpolation(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}
