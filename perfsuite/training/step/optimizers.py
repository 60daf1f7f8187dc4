"""Optimizers by name, with weight decay on weight matrices and convolution filters only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.step.presets import OptimizerImplementation

OptimizerName = Literal["sgd", "adamw"]
ParameterGroups = list[dict[str, Any]]

IMPLEMENTATION_ARGUMENTS: dict[OptimizerImplementation, dict[str, bool]] = {
    "auto": {},
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "loop": {"foreach": False, "fused": False},
}


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """What an optimizer of the registry may read."""

    learning_rate: float
    momentum: float
    implementation: Mapping[str, bool]  # as keyword arguments


class OptimizerFactory(Protocol):
    def __call__(self, groups: ParameterGroups, settings: OptimizerSettings) -> torch.optim.Optimizer: ...


def _sgd(groups: ParameterGroups, settings: OptimizerSettings) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        **settings.implementation,
    )


def _adamw(groups: ParameterGroups, settings: OptimizerSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=settings.learning_rate, **settings.implementation)  # type: ignore[arg-type]


OPTIMIZERS: dict[str, OptimizerFactory] = {"sgd": _sgd, "adamw": _adamw}

# What an optimizer remembers of a parameter that has been updated.
REMEMBERED: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.SGD: {"momentum_buffer"},
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
}


def make_optimizer(
    model: nn.Module,
    name: OptimizerName = "sgd",
    *,
    learning_rate: float,
    weight_decay: float = 5e-4,
    momentum: float = 0.9,
    implementation: OptimizerImplementation = "auto",
) -> torch.optim.Optimizer:
    """Build an optimizer that exempts biases and norms (parameters of one dimension) from weight decay.

    >>> optimizer = make_optimizer(nn.Linear(2, 2), learning_rate=0.1)
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    [(1, 0.0005), (1, 0.0)]
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: ParameterGroups = [
        {
            "params": [parameter for parameter in trainable if parameter.ndim > 1],
            "weight_decay": weight_decay,
        },
        {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise UsageError(
            f"optimizer: {type(model).__name__} has no trainable parameters, expected at least one; "
            "set requires_grad on some"
        )
    check_optimizer_name(name)
    settings = OptimizerSettings(
        learning_rate=learning_rate,
        momentum=momentum,
        implementation=IMPLEMENTATION_ARGUMENTS[implementation],
    )
    return OPTIMIZERS[name](groups, settings)


def check_optimizer_name(name: str) -> None:
    """Raise a UsageError for a name that the registry does not have."""
    if name not in OPTIMIZERS:
        raise UsageError(f"optimizer: {name!r} is not known, expected {', '.join(OPTIMIZERS)}")


def find_wrong_state(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Any]]) -> str | None:
    """Return what of a stored state does not fit the optimizer's parameters, or None.

    >>> find_wrong_state(torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1), {7: {}})
    "7 is a parameter's number, expected below 2"
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    names = REMEMBERED.get(type(optimizer))
    for index, values in state.items():
        if not 0 <= index < len(parameters):
            return f"{index} is a parameter's number, expected below {len(parameters)}"
        if names is not None and values.keys() != names:
            return f"{index} has {', '.join(values) or 'nothing'}, expected {', '.join(sorted(names))}"
        for name, value in values.items():
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            if value is not None and shape not in ((), tuple(parameters[index].shape)):
                return f"{index}.{name} is {shape}, expected {tuple(parameters[index].shape)} or one number"
    return None
