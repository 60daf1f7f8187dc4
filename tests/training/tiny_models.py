"""Small models and batches, and a watcher of what torch dispatches."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Batch = tuple[Tensor, Tensor]


class OperatorCounter(TorchDispatchMode):
    """Counts every operator by name, while entered."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))

    @property
    def host_syncs(self) -> int:
        waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "_unique2")
        return sum(self.count[name] for name in waits)


def linear_model(dtype: torch.dtype = torch.float32) -> nn.Module:
    """Learns, and has no BatchNorm: the batch's size changes nothing but the mean."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 3)).to(
        dtype
    )


def norm_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )


def batch_of(count: int, *, seed: int = 0, size: int = 8, classes: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, size, size, generator=generator)
    return images, torch.randint(0, classes, (count,), generator=generator)
