"""Small models and batches, and a counter of the operators that torch dispatches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from perfsuite.training.devices import TensorBatch

MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


class OperatorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts every operator by name while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))

    @property
    def host_syncs(self) -> int:
        syncing = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "_unique2")
        return sum(self.count[name] for name in syncing)


def linear_model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A model without BatchNorm: the size of a batch changes nothing but the mean."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 3)).to(
        dtype
    )


def norm_model() -> nn.Sequential:
    """A model with BatchNorm."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )


def random_batch(count: int, *, seed: int = 0, size: int = 8, classes: int = 3) -> TensorBatch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, size, size, generator=generator)
    return images, torch.randint(0, classes, (count,), generator=generator)


def batch_norm(model: nn.Sequential) -> nn.BatchNorm2d:
    """The BatchNorm of `norm_model`."""
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def local_parameter_count(model: nn.Module) -> int:
    """Count the numbers that this rank holds of the parameters, which FSDP may have sharded."""
    return sum(getattr(parameter, "_local_tensor", parameter).numel() for parameter in model.parameters())
