from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perfsuite.data import photos
from perfsuite.data.loaders import FastImageFolder, PilImageFolder, make_loaders
from perfsuite.data.sets import ImageFolder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos.make(tmp_path_factory.mktemp("photos") / "p", images=40, classes=4, size=(128, 96))


def test_parts_are_disjoint_and_hold_everything(folder: Path) -> None:
    loaders = make_loaders(folder, batch_size=8, num_workers=0, image_size=32)
    samples = loaders.info["samples"]
    assert samples == {"train": 32, "val": 4, "test": 4}
    assert [images.shape[0] for images, _ in loaders.train] == [8, 8, 8, 8]
    assert loaders.class_names == ("class_00", "class_01", "class_02", "class_03")


def test_batches_are_normalised(folder: Path) -> None:
    loaders = make_loaders(folder, batch_size=32, num_workers=0, image_size=64)
    images, labels = next(iter(loaders.train))
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert abs(float(images.mean())) < 1
    assert 0.5 < float(images.std()) < 1.5


def test_the_fast_folder_shows_what_the_slow_reference_shows(folder: Path) -> None:
    whole = ImageFolder.read(folder)
    fast, slow = FastImageFolder(whole, 56, training=False), PilImageFolder(whole, 56)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for row in range(8):
        expected = (slow[row][0] * std.view(3, 1, 1) + mean.view(3, 1, 1)) * 255
        assert (fast[row][0] - expected).abs().mean() <= 1
        assert fast[row][1] == slow[row][1]


def test_a_missing_folder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="perfsuite data make"):
        make_loaders(tmp_path / "absent")
