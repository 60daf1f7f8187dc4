"""A folder's images as plain torch Datasets: the slow reference, and a fast one for any DataLoader."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from perfsuite.data.batch import SKIPPED_ROW, BatchBuffer
from perfsuite.data.faults import fault_error
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import open_image
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.files import FileSource, ImageSource
from perfsuite.transforms.normalization.channel_stats import IMAGENET


class FastImageFolder(Dataset[tuple[torch.Tensor, int]]):
    """uint8 images, 3 x size x size, through the direct decoder; `set_epoch` changes what is drawn.

    Normalize once per batch, not here: it is four times the bytes.
    """

    def __init__(self, source: ImageSource, recipe: ImageConfig | None = None) -> None:
        self.source, self.recipe = source, recipe or ImageConfig()
        self.epoch = 0
        self._maker: ImageMaker | None = None

    def set_epoch(self, epoch: int) -> None:
        """Seen by workers that start afterward; with persistent workers use `make_loaders`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        if self._maker is None:
            self._maker = ImageMaker(self.source, self.recipe)
        slot = BatchBuffer.new(1, self.recipe.batch_layout)
        faults = self._maker.fill(self.epoch, np.array([row]), slot.view(1))
        if slot.rows[0] == SKIPPED_ROW:
            raise fault_error(faults[0], "a data set of single images cannot leave one out")
        return slot.images[0].permute(2, 0, 1), int(slot.labels[0])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maker": None}  # its buffers and addresses belong to this process


class PilImageFolder(Dataset[tuple[torch.Tensor, int]]):
    """The slow reference: Pillow from file to crop, and each image normalized by itself."""

    def __init__(self, files: FileSource, image_size: int = 224, training: bool = False) -> None:
        from torchvision import transforms

        crop: list[Any] = [transforms.Resize(image_size * 8 // 7), transforms.CenterCrop(image_size)]
        if training:
            crop = [transforms.RandomResizedCrop(image_size), transforms.RandomHorizontalFlip()]
        normalize = transforms.Normalize(IMAGENET.mean, IMAGENET.std)
        self.files = files
        self._transform = transforms.Compose([*crop, transforms.ToTensor(), normalize])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with open_image(io.BytesIO(self.files.read(row))) as image:
            return self._transform(image.convert("RGB")), int(self.files.labels[row])
