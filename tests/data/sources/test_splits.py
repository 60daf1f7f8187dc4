from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perfsuite.data.sources.base import Subset
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import class_weights, read_splits, split_rows, split_source
from perfsuite.errors import DataError


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.0, 0.0), (0.5, 0.5), (0.25, 0.0)])
def test_every_class_is_split_by_the_same_fractions(val: float, test: float) -> None:
    labels = np.repeat(np.arange(5, dtype=np.int32), [40, 20, 100, 8, 4])
    rng = np.random.default_rng(0)
    parts = split_rows(labels, rng.integers(0, 2**63, len(labels)).astype(np.uint64), val, test)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    for label, count in enumerate([40, 20, 100, 8, 4]):
        assert (labels[parts["val"]] == label).sum() == round(count * val)
        expected = round(count * (val + test)) - round(count * val)
        assert (labels[parts["test"]] == label).sum() == expected


def test_a_split_does_not_depend_on_the_order_of_listing() -> None:
    names = [f"c/{number}.jpg" for number in range(50)]
    labels = np.zeros(50, np.int32)

    def val_names(listed: list[str]) -> set[str]:
        packed = PackedStrings.from_strings(listed)
        return {packed[int(row)] for row in split_rows(labels, packed.hashes(), 0.2, 0.2)["val"]}

    assert val_names(names) == val_names(names[::-1])


def test_weights_make_classes_count_alike(folder: Path) -> None:
    files = image_folder(folder)
    assert class_weights(split_source(files, 0.0, 0.0)["train"]).tolist() == [1.0] * 4
    weights = class_weights(Subset(files, np.array([0, 1, 2, 10, 20])))
    assert weights.tolist() == pytest.approx([5 / 9, 5 / 3, 5 / 3, 0.0])


@pytest.mark.parametrize("splits", [["train"], ["val"], ["train", "test"]])
def test_a_split_folder_is_not_taken_for_a_class(tmp_path: Path, splits: list[str]) -> None:
    for split in splits:
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "a.jpg").touch()
    with pytest.raises(DataError, match=r"only .*, expected train and val"):
        read_splits(tmp_path, 0.1, 0.1)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "a.jpg").touch()
    assert read_splits(tmp_path, 0.1, 0.1)["train"].class_names == tuple(sorted(["dog", *splits]))
