"""What the peers share: the interface, the sizes, and batches that a DataLoader collates.

Batches are normalized once, after collation. That is the fastest known way with a DataLoader; only the Pillow
peer normalizes image by image, as most code does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from perfsuite.data.crop import UNIFORMS_PER_CROP, random_resized_crop
from perfsuite.data.sources.files import FileSource

BATCH_SIZE = 32
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255

Task = Literal["validation", "training", "moderate"]
LabeledBatches = Iterable[tuple[Tensor, Tensor]]
# Our `augmentation_mode` for each task.
AUGMENTATION_MODES: dict[Task, str] = {"validation": "none", "training": "mirror", "moderate": "moderate"}


class MakeBatches(Protocol):
    """Raises ImportError where the library is missing, NotImplementedError where it cannot do the task."""

    def __call__(self, files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches: ...


@dataclass(frozen=True)
class Peer:
    """A way to feed images. `folder` of `make` is empty, for a format of the library's own."""

    name: str
    make: MakeBatches
    is_antialiased: bool = True  # resizing without antialiasing is less work


class PeerDataset(Dataset[tuple[Tensor, int]]):
    """Images of a source, with random parameters of the same distributions as ours."""

    def __init__(self, files: FileSource, task: Task) -> None:
        self.files, self.task = files, task
        self.rng = np.random.default_rng(1)

    def __len__(self) -> int:
        return len(self.files)

    def draw_crop_box(self, width: int, height: int) -> tuple[float, ...]:
        return random_resized_crop(width, height, 224, self.rng.random(UNIFORMS_PER_CROP).tolist()).box

    def draw_parameters(self) -> tuple[bool, float, float, float, float, float]:
        """Mirror, degrees, zoom, brightness, contrast and saturation of the moderate mode."""
        u = self.rng.random(6).tolist()
        brightness, contrast, saturation = (0.8 + 0.4 * value for value in u[3:])
        return u[0] < 0.5, 30 * u[1] - 15, 0.9 + 0.2 * u[2], brightness, contrast, saturation


class NormalizedBatches:
    """A DataLoader whose batches are normalized after collation."""

    def __init__(
        self,
        data: Any,
        num_workers: int,
        finish: Callable[[Tensor], Tensor] | None = None,
        loader: Callable[..., LabeledBatches] = DataLoader,
    ) -> None:
        workers = {"persistent_workers": True, "multiprocessing_context": "fork"} if num_workers else {}
        self.loader = loader(
            data, batch_size=BATCH_SIZE, num_workers=num_workers, worker_init_fn=_use_one_thread, **workers
        )
        self.finish = finish or normalize_batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self.loader:
            yield self.finish(images), labels


class EncodedRows:
    """A row as a library stores it; a class, because it is sent to other processes."""

    def __init__(self, files: FileSource) -> None:
        self.files = files

    def __call__(self, row: int) -> dict[str, Any]:
        return {"jpeg": self.files.read(row), "label": int(self.files.labels[row])}


def preprocessing_dataset(dataset: type[Any], preprocess: Callable[[bytes], Tensor]) -> type[Any]:
    """A library's own data set that preprocesses the bytes that it reads."""

    class PreprocessingDataset(dataset):  # type: ignore[misc]
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            row = super().__getitem__(index)
            return preprocess(row["jpeg"]), row["label"]

    return PreprocessingDataset


def normalize_batch(images: Tensor) -> Tensor:
    return images.float().sub_(MEAN).div_(STD)


def _use_one_thread(worker: int) -> None:
    torch.set_num_threads(1)
