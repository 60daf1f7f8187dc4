from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perfsuite.data.sources.files import class_weights, image_folder, labeled_csv, split_source
from perfsuite.errors import DataError


def test_a_folder_is_read_as_torchvision_reads_it(folder: Path) -> None:
    from torchvision.datasets import ImageFolder

    theirs, ours = ImageFolder(folder), image_folder(folder)
    assert [(str(ours.path(row)), int(ours.labels[row])) for row in range(len(ours))] == theirs.samples
    assert list(ours.class_names) == theirs.classes


def test_a_table_and_the_folders_agree(folder: Path) -> None:
    by_table, by_folder = labeled_csv(folder / "labels.csv", folder), image_folder(folder)
    assert by_table.class_names == by_folder.class_names
    assert {by_table.name(row): int(by_table.labels[row]) for row in range(40)} == {
        by_folder.name(row): int(by_folder.labels[row]) for row in range(40)
    }
    assert by_table.read(3) == (folder / by_table.name(3)).read_bytes()


def test_numbers_as_labels_sort_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label\na.jpg,10\nb.jpg,9\nc.jpg,10\n")
    found = labeled_csv(tmp_path / "t.csv", tmp_path)
    assert found.class_names == ("9", "10")
    assert found.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\na,b\n", "no column 'file'"),
        ("file,label\n", "no rows"),
        ("file,label\na.jpg,\n", "line 2 lacks"),
        ("file,label\n../secret.jpg,1\n", "outside of"),
        ("file,label\n/etc/passwd,1\n", "outside of"),
    ],
)
def test_tables_without_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        labeled_csv(tmp_path / "t.csv", tmp_path)


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    with pytest.raises(DataError, match="no images found"):
        image_folder(tmp_path)


def test_a_class_that_training_does_not_know_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="'class_00' is not among those of train"):
        image_folder(folder, class_names=("class_01", "class_02", "class_03"))


def test_sources_travel_to_other_processes(folder: Path) -> None:
    part = split_source(image_folder(folder), 0.25, 0.0)["val"]
    there = pickle.loads(pickle.dumps(part))  # noqa: S301 - our own bytes, as multiprocessing does it
    assert [there.name(row) for row in range(8)] == [part.name(row) for row in range(8)]
    np.testing.assert_array_equal(there.labels, part.labels)


def test_weights_make_classes_count_alike(folder: Path) -> None:
    whole = image_folder(folder)
    some = split_source(whole, 0.0, 0.0)["train"]
    assert class_weights(some).tolist() == [1.0] * 4
    (rows,) = [np.array([0, 1, 2, 10, 20])]
    from perfsuite.data.sources.files import Subset

    weights = class_weights(Subset(whole, rows))
    assert weights.tolist() == pytest.approx([5 / 9, 5 / 3, 5 / 3, 0.0])


@pytest.mark.slow
def test_a_million_files_are_indexed_in_few_bytes(tmp_path: Path) -> None:
    for label in range(100):
        place = tmp_path / f"class_{label:03d}"
        place.mkdir()
        for number in range(10_000):
            (place / f"image_{number:06d}.jpg").touch()
    code = (
        "import resource, time, sys\n"
        "from perfsuite.data.sources.files import image_folder, split_source\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, begun = peak(), time.perf_counter()\n"
        "found = image_folder(sys.argv[1]); parts = split_source(found, 0.1, 0.1)\n"
        "print(len(found), time.perf_counter() - begun, peak() - before, found.nbytes / 2**20)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout.split()
    files, _seconds, peak_mib, index_mib = (float(word) for word in told)
    assert files == 1_000_000
    assert peak_mib < 200
    assert index_mib < 60
