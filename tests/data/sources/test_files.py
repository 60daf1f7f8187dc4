from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfsuite.data.sources.files import image_folder, labeled_csv
from perfsuite.errors import DataError


def test_a_folder_is_read_as_by_torchvision(folder: Path) -> None:
    from torchvision.datasets import ImageFolder

    theirs, ours = ImageFolder(folder), image_folder(folder)
    assert [(str(ours.path(row)), int(ours.labels[row])) for row in range(len(ours))] == theirs.samples
    assert list(ours.class_names) == theirs.classes


def test_a_table_gives_the_same_source_as_the_folders(folder: Path) -> None:
    by_table, by_folder = labeled_csv(folder / "labels.csv", folder), image_folder(folder)
    assert by_table.class_names == by_folder.class_names
    assert {by_table.name(row): int(by_table.labels[row]) for row in range(40)} == {
        by_folder.name(row): int(by_folder.labels[row]) for row in range(40)
    }
    assert by_table.read(3) == (folder / by_table.name(3)).read_bytes()


def test_numeric_labels_are_sorted_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label\na.jpg,10\nb.jpg,9\nc.jpg,10\n")
    source = labeled_csv(tmp_path / "t.csv", tmp_path)
    assert source.class_names == ("9", "10")
    assert source.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,b\n", "no column 'file'"),
        ("file,label\n", "no rows"),
        ("file,label\na.jpg,\n", "line 2 lacks"),
        ("file,label\n../secret.jpg,1\n", "outside of"),
        ("file,label\n/etc/passwd,1\n", "outside of"),
    ],
)
def test_invalid_tables_are_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        labeled_csv(tmp_path / "t.csv", tmp_path)


def test_the_error_for_an_empty_folder_describes_the_layout(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    with pytest.raises(DataError, match="no images found"):
        image_folder(tmp_path)


def test_a_class_that_training_lacks_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="class 'class_00', expected one of train's"):
        image_folder(folder, class_names=("class_01", "class_02", "class_03"))


@pytest.mark.slow
def test_a_million_files_are_indexed_in_few_bytes(tmp_path: Path) -> None:
    for label in range(100):
        class_folder = tmp_path / f"class_{label:03d}"
        class_folder.mkdir()
        for number in range(10_000):
            (class_folder / f"image_{number:06d}.jpg").touch()
    code = (
        "import resource, time, sys\n"
        "from perfsuite.data.sources.files import image_folder, split_source\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, begun = peak(), time.perf_counter()\n"
        "found = image_folder(sys.argv[1]); parts = split_source(found, 0.1, 0.1)\n"
        "print(len(found), time.perf_counter() - begun, peak() - before, found.nbytes / 2**20)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    output = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout.split()
    files, _seconds, peak_mib, index_mib = (float(word) for word in output)
    assert files == 1_000_000
    assert peak_mib < 200
    assert index_mib < 60
