"""FastImageFolder gives any DataLoader the images that make_loaders gives."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from perfsuite.data import FastImageFolder
from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError


def test_classes_and_labels_are_those_of_torchvisions_image_folder(folder: Path) -> None:
    ours, theirs = FastImageFolder(folder, image_size=32), ImageFolder(folder)
    assert len(ours) == len(theirs)
    assert list(ours.classes) == theirs.classes
    assert [ours[row][1] for row in range(len(ours))] == theirs.targets


@pytest.mark.parametrize("num_workers", [0, 2])
def test_images_are_those_of_make_loaders(folder: Path, num_workers: int) -> None:
    options: dict[str, Any] = {"image_size": 32, "augmentation_mode": "moderate", "seed": 5}
    dataset = FastImageFolder(folder, crop="random", **options)
    sources = dict.fromkeys(SPLITS, image_folder(folder))
    loader = make_loaders(sources, 8, 0, normalize=Normalize(dtype=torch.uint8), **options).train
    by_row: dict[int, torch.Tensor] = {}
    for rows, (images, _) in zip(loader.order.batches(0), loader, strict=True):
        by_row |= dict(zip(rows.tolist(), images, strict=True))
    batches = DataLoader(dataset, batch_size=8, num_workers=num_workers)
    images = torch.cat([images for images, _ in batches])
    assert images.dtype == torch.uint8
    assert all(torch.equal(image, by_row[row]) for row, image in enumerate(images))


def test_persistent_workers_use_the_epoch_that_was_set(folder: Path) -> None:
    dataset = FastImageFolder(folder, image_size=32, crop="random")
    loader = DataLoader(
        dataset, batch_size=8, num_workers=1, persistent_workers=True, multiprocessing_context="fork"
    )

    def images(epoch: int) -> torch.Tensor:
        dataset.set_epoch(epoch)
        return torch.cat([images for images, _ in loader])

    first, second, again = images(0), images(1), images(0)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_it_can_be_pickled_after_use(folder: Path) -> None:
    dataset = FastImageFolder(folder, image_size=32)
    image, label = dataset[3]
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - our own bytes
    assert torch.equal(copy[3][0], image)
    assert copy[3][1] == label


def test_a_damaged_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/broken\.jpg: a file of 8 bytes"):
        FastImageFolder(tmp_path)[0]
