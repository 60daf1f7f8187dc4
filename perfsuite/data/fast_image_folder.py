"""`FastImageFolder`: a folder of images as a Dataset for any torch DataLoader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from perfsuite.data.batch import BatchBuffer
from perfsuite.data.image_config import Crop, ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.files import image_folder
from perfsuite.transforms import AugmentationMode


class FastImageFolder(Dataset[tuple[torch.Tensor, int]]):
    """Images as uint8, 3 x size x size, with their labels, through the same fast decoding as `make_loaders`.

    `root` is a folder of class folders, as for torchvision's ImageFolder, or a source. Each image is a pure
    function of seed, epoch and row. Normalize a whole batch, not single images: floats are four times the
    bytes that workers have to send.

    >>> from perfsuite.data.synthetic import dataset
    >>> folder = FastImageFolder(dataset.cached_dataset(images=40, classes=2, size=(64, 48)), image_size=32)
    >>> image, label = folder[39]
    >>> len(folder), folder.classes, image.shape, image.dtype, label
    (40, ('class_00', 'class_01'), torch.Size([3, 32, 32]), torch.uint8, 1)
    """

    def __init__(
        self,
        root: str | Path | ImageSource,
        image_size: int = 224,
        crop: Crop = "center",
        augmentation_mode: str | AugmentationMode = "none",
        seed: int = 42,
        decoder: str = "auto",
    ) -> None:
        self.source = image_folder(root) if isinstance(root, str | Path) else root
        self.image_config = ImageConfig(
            size=image_size, crop=crop, mode=augmentation_mode, seed=seed, decoder=decoder
        )
        # In shared memory, so that persistent workers read the current epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._maker: ImageMaker | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.source.class_names

    def set_epoch(self, epoch: int) -> None:
        """Change the random crops and augmentation. Call it before each iteration of the DataLoader."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        if self._maker is None:
            self._maker = ImageMaker(self.source, self.image_config)
        buffer = BatchBuffer.new(1, self.image_config.batch_layout)
        # With on_error="raise", the default of ImageConfig, no image is skipped.
        self._maker.fill(int(self._epoch), np.array([row]), buffer.view(1))
        return buffer.images[0].permute(2, 0, 1), int(buffer.labels[0])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maker": None}  # its buffers and addresses belong to this process
