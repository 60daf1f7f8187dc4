"""CIFAR-10 as batches on a device: every image once, shifted and mirrored in training only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perfsuite.data.sources import cifar
from perfsuite.training.distributed.ranks import Rank
from perfsuite.training.run.data_identity import identify_loader
from perfsuite.training.run.training_data import TrainingData, open_training_data

CPU = torch.device("cpu")


def write_set(folder: Path, images: Tensor) -> Path:
    """Write the images as training and as test set, labeled by their number modulo 10."""
    folder.mkdir(exist_ok=True)
    labels = (np.arange(len(images)) % 10).astype(np.uint8)
    records = np.concatenate([labels[:, None], images.numpy().reshape(len(images), -1)], axis=1)
    for name in ("data_batch_1", "test_batch"):
        records.tofile(folder / f"{name}.bin")
    return folder


def open_set(folder: Path, rank: Rank = Rank(0, 1, CPU), seed: int = 42) -> TrainingData:  # noqa: B008 - frozen
    return open_training_data(folder, batch_size=8, seed=seed, rank=rank)


def to_bytes(images: Tensor, data: TrainingData) -> Tensor:
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    return ((images * std + mean) * 255).round().to(torch.uint8)


def random_images(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_validation_batches_have_each_image_once_in_order_and_normalized(tmp_path: Path) -> None:
    images = random_images(20)
    data = open_set(write_set(tmp_path, images))
    assert data.val is not None
    batches = list(data.val)
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    assert torch.equal(to_bytes(torch.cat([batch for batch, _ in batches]), data), images)


def test_training_batches_have_each_image_once_shifted_and_mirrored(tmp_path: Path) -> None:
    count = 40
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 16, 10] = torch.arange(1, count + 1, dtype=torch.uint8)[:, None]
    data = open_set(write_set(tmp_path, images))
    columns, used = set(), []
    for batch, labels in data.train:
        for image, label in zip(to_bytes(batch, data), labels, strict=True):
            lit = image[0].nonzero()
            assert len(lit) == 1  # what enters from outside is black
            number = int(image[0][tuple(lit[0])]) - 1
            assert number % 10 == label
            assert abs(lit[0][0] - 16) <= cifar.MAX_SHIFT_PIXELS
            columns.add(int(lit[0][1]))
            used.append(number)
    assert sorted(used) == list(range(count))
    assert columns <= {*range(6, 15), *range(17, 26)}
    assert columns & set(range(6, 15))
    assert columns & set(range(17, 26))


def test_an_epoch_depends_on_seed_and_number(tmp_path: Path) -> None:
    folder = write_set(tmp_path, random_images(20))

    def images_of(seed: int, epoch: int) -> Tensor:
        train = open_set(folder, seed=seed).train
        train.set_epoch(epoch)  # type: ignore[attr-defined]
        return torch.cat([batch for batch, _ in train])

    assert torch.equal(images_of(1, 2), images_of(1, 2))
    assert not torch.equal(images_of(1, 2), images_of(1, 3))
    assert not torch.equal(images_of(1, 2), images_of(2, 2))


def test_ranks_share_the_images_and_a_rank_may_have_no_image_to_validate(tmp_path: Path) -> None:
    folder = write_set(tmp_path, random_images(1).repeat(3, 1, 1, 1))
    ranks = [open_set(folder, Rank(index, 4, CPU)) for index in range(4)]
    assert [sum(len(labels) for _, labels in data.val or ()) for data in ranks] == [1, 1, 1, 0]


def test_other_images_and_seeds_are_identified(tmp_path: Path) -> None:
    first, other = random_images(20), random_images(20)
    other[3] = 0
    here = identify_loader(open_set(write_set(tmp_path / "a", first)).train)
    assert here == identify_loader(open_set(write_set(tmp_path / "b", first)).train)
    assert here["contents"] != identify_loader(open_set(write_set(tmp_path / "c", other)).train)["contents"]
    assert identify_loader(open_set(tmp_path / "a", seed=7).train)["loader_seed"] == 7
