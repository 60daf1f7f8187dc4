"""How good a model is: mean loss and share of right answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.step.presets import EAGER, Preset


@dataclass(frozen=True, slots=True)
class Evaluation:
    loss: float
    accuracy: float
    images: int


def evaluate(
    model: nn.Module, batches: Iterable[Any], transfer: DeviceTransfer, preset: Preset = EAGER
) -> Evaluation | None:
    """Over all batches, of all ranks; None where there is no image. Waits for the device once, at the end.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    >>> images = torch.zeros(4, 3, 1, 1), torch.tensor([0, 1, 0, 1])
    >>> evaluate(model, [images], DeviceTransfer(torch.device("cpu"))).accuracy
    0.5
    """
    device = transfer.device
    loss = torch.zeros((), device=device, dtype=torch.float64)
    right = torch.zeros((), device=device, dtype=torch.int64)
    count = 0
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            images, labels = transfer(batch)
            if len(labels) == 0:  # a rank that has fewer
                continue
            with preset.autocast(device):
                scores = model(images)
            loss += nn.functional.cross_entropy(scores.float(), labels, reduction="sum")
            right += (scores.argmax(1) == labels).sum()
            count += len(labels)
    model.train(was_training)
    sums = torch.stack([loss, right.double(), torch.full_like(loss, count)])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(sums)
    total_loss, total_right, total = sums.tolist()
    return Evaluation(total_loss / total, total_right / total, int(total)) if total else None
