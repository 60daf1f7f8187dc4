from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perfsuite.data.sources import cifar
from perfsuite.errors import DataError


def write_batch(path: Path, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (count, cifar.RECORD_BYTES), dtype=np.uint8)
    records[:, 0] = np.arange(count) % 10
    records.tofile(path)
    return records


def write_set(folder: Path) -> np.ndarray:
    first = write_batch(folder / "data_batch_1.bin", 7, seed=1)
    second = write_batch(folder / "data_batch_2.bin", 5, seed=2)
    write_batch(folder / "test_batch.bin", 4, seed=3)
    return np.concatenate([first, second])


def test_pixels_and_labels_are_read_from_their_offsets(tmp_path: Path) -> None:
    records = write_set(tmp_path)
    training, test = cifar.read_cifar10(tmp_path)
    assert training.images.shape == (12, 3, 32, 32)
    assert len(test) == 4
    for row, record in enumerate(records):
        assert training.labels[row] == record[0]
        assert training.images[row, 1, 2, 3] == record[1 + 1024 + 2 * 32 + 3]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: (folder / "test_batch.bin").unlink(), "no test_batch.bin"),
        (lambda folder: (folder / "data_batch_1.bin").write_bytes(b""), "0 bytes, expected a multiple"),
        (lambda folder: (folder / "data_batch_2.bin").write_bytes(b"x" * 4000), "4,000 bytes"),
        (lambda folder: (folder / "data_batch_1.bin").write_bytes(b"\xff" * cifar.RECORD_BYTES), "label 255"),
        (lambda folder: [path.unlink() for path in folder.glob("data*")], "no data_batch_"),
    ],
)
def test_a_damaged_data_set_is_an_error_that_names_the_file(
    damage: object, named: str, tmp_path: Path
) -> None:
    write_set(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(DataError, match=named):
        cifar.read_cifar10(tmp_path)


def test_evaluation_batches_have_each_image_once_unchanged(tmp_path: Path) -> None:
    write_set(tmp_path)
    training, _ = cifar.read_cifar10(tmp_path)
    images = torch.cat([images for images, _ in cifar.InMemoryBatches(training, 5)])
    assert torch.equal(images, training.images)


def test_training_batches_have_each_image_once_shifted_and_mirrored() -> None:
    count = 40
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 16, 10] = torch.arange(1, count + 1, dtype=torch.uint8)[:, None]
    batches = cifar.InMemoryBatches(cifar.LabeledImages(images, torch.arange(count)), 16, training=True)
    columns = set()
    used = []
    for shifted, labels in batches:
        for image, label in zip(shifted, labels, strict=True):
            lit = image[0].nonzero()
            assert len(lit) == 1
            assert image[0][tuple(lit[0])] == label + 1
            assert abs(lit[0][0] - 16) <= 4
            columns.add(int(lit[0][1]))
        used += labels.tolist()
    assert sorted(used) == list(range(count))
    assert columns <= {*range(6, 15), *range(17, 26)}
    assert columns & set(range(6, 15))
    assert columns & set(range(17, 26))


def test_an_epoch_depends_on_seed_and_number() -> None:
    images = cifar.LabeledImages(
        torch.arange(20 * 3072).view(20, 3, 32, 32).to(torch.uint8), torch.arange(20)
    )

    def images_of(seed: int, epoch: int) -> torch.Tensor:
        batches = cifar.InMemoryBatches(images, 8, training=True, seed=seed)
        batches.set_epoch(epoch)
        return torch.cat([batch for batch, _ in batches])

    assert torch.equal(images_of(1, 2), images_of(1, 2))
    assert not torch.equal(images_of(1, 2), images_of(1, 3))
    assert not torch.equal(images_of(1, 2), images_of(2, 2))
