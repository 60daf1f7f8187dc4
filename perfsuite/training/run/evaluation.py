"""Evaluation of a model: mean loss and accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.distributed.wrapping import is_distributed
from perfsuite.training.step.presets import EAGER, Preset


@dataclass(frozen=True, slots=True)
class Evaluation:
    loss: float  # mean per image
    accuracy: float  # fraction of images
    images: int


def evaluate(
    model: nn.Module, batches: Iterable[Any], transfer: DeviceTransfer, preset: Preset = EAGER
) -> Evaluation | None:
    """Evaluate `model` over all batches of all ranks; None if there is no image.

    Synchronizes with the device once, at the end.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    >>> images = torch.zeros(4, 3, 1, 1), torch.tensor([0, 1, 0, 1])
    >>> evaluate(model, [images], DeviceTransfer(torch.device("cpu"))).accuracy
    0.5
    """
    device = transfer.device
    loss = torch.zeros((), device=device, dtype=torch.float64)
    correct = torch.zeros((), device=device, dtype=torch.int64)
    count = 0
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            images, labels = transfer(batch)
            if len(labels) == 0:  # a rank with fewer images than others
                continue
            with preset.autocast(device):
                scores = model(images)
            loss += nn.functional.cross_entropy(scores.float(), labels, reduction="sum")
            correct += (scores.argmax(1) == labels).sum()
            count += len(labels)
    model.train(was_training)
    sums = torch.stack([loss, correct.double(), torch.full_like(loss, count)])
    if is_distributed():
        dist.all_reduce(sums)
    total_loss, total_correct, total = sums.tolist()
    return Evaluation(total_loss / total, total_correct / total, int(total)) if total else None
