"""What a user may have: data sets, loaders, models and transforms, good and wrong ones."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

SIZE = 16
CLASSES = 3


def sample(row: int) -> tuple[Tensor, int]:
    return torch.full((3, SIZE, SIZE), row / 50 - 1), row % CLASSES


class Images(Dataset[tuple[Tensor, int]]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return sample(row)


class Stream(IterableDataset[tuple[Tensor, int]]):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return map(sample, range(24))


@dataclass
class ImageBatch:
    images: Tensor
    labels: Tensor


class PairOfTensors(NamedTuple):
    image: Tensor
    target: Tensor


def _stacked(samples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*samples, strict=True)
    return torch.stack(images), torch.tensor(labels)


def as_dict(samples: list[tuple[Tensor, int]]) -> dict[str, Tensor]:
    images, labels = _stacked(samples)
    return {"pixel_values": images, "labels": labels}


def as_dataclass(samples: list[tuple[Tensor, int]]) -> ImageBatch:
    return ImageBatch(*_stacked(samples))


def as_named_tuple(samples: list[tuple[Tensor, int]]) -> PairOfTensors:
    return PairOfTensors(*_stacked(samples))


images = Images()
stream = Stream()
loader = DataLoader(images, batch_size=4, shuffle=True)
dict_loader = DataLoader(images, batch_size=4, collate_fn=as_dict)
dataclass_loader = DataLoader(images, batch_size=4, collate_fn=as_dataclass)
named_tuple_loader = DataLoader(images, batch_size=4, collate_fn=as_named_tuple)
stream_loader = DataLoader(stream, batch_size=4)
plain_batches = [_stacked([sample(row) for row in range(first, first + 4)]) for first in range(0, 24, 4)]
number = 5


def make_loader(num_workers: int = 0, batch_size: int = 4) -> DataLoader[Any]:
    return DataLoader(images, batch_size=batch_size, num_workers=num_workers)


def make_plain_batches() -> list[tuple[Tensor, Tensor]]:
    return plain_batches


def make_iterator() -> Iterator[tuple[Tensor, Tensor]]:
    return iter(plain_batches)


class Net(nn.Module):
    def __init__(self, num_classes: int = CLASSES) -> None:
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(images.mean((2, 3)))
        return scores


net = Net()


class DictNet(Net):
    def forward(self, images: Tensor) -> Any:
        return {"logits": super().forward(images)}


class OneScore(Net):
    def __init__(self) -> None:
        super().__init__(num_classes=1)


class FailingImages(Images):
    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return sample(row // 0)


class DyingImages(Images):
    """Ends a worker process as a kernel without memory does; loads well without workers."""

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return sample(row)


class HangingImages(Images):
    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        time.sleep(600)
        return sample(row)


def without_labels(samples: list[tuple[Tensor, int]]) -> Tensor:
    return _stacked(samples)[0]


hanging_loader = DataLoader(HangingImages(), batch_size=4)
unlabeled_loader = DataLoader(images, batch_size=4, collate_fn=without_labels)
failing_loader = DataLoader(FailingImages(), batch_size=4)
dying_loader = DataLoader(DyingImages(), batch_size=4)
