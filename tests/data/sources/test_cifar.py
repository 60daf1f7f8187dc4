from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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


def replace(path: Path, make: Callable[..., object], *arguments: object) -> None:
    path.unlink()
    make(path, *arguments)


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
        (lambda folder: replace(folder / "data_batch_1.bin", os.mkfifo), "expected a regular file"),
        (
            lambda folder: replace(folder / "test_batch.bin", Path.symlink_to, "/dev/null"),
            "no test_batch.bin",
        ),
        (lambda folder: replace(folder / "data_batch_2.bin", Path.mkdir), "Is a directory"),
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
