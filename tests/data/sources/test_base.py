from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from perfsuite.data.sources.base import Subset
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.splits import split_source


def test_labels_of_a_subset_are_gathered_once(folder: Path) -> None:
    files = image_folder(folder)
    subset = Subset(files, np.array([3, 1, 39]))
    assert subset.labels.tolist() == files.labels[[3, 1, 39]].tolist()
    assert subset.labels is subset.labels


def test_sources_can_be_pickled(folder: Path) -> None:
    subset = split_source(image_folder(folder), 0.25, 0.0)["val"]
    copy = pickle.loads(pickle.dumps(subset))  # noqa: S301 - our own bytes, as multiprocessing does it
    assert [copy.name(row) for row in range(8)] == [subset.name(row) for row in range(8)]
    np.testing.assert_array_equal(copy.labels, subset.labels)
