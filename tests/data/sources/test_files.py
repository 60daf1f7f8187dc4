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
        (b"name,label\na,b\n", "no column 'file' in name, label, expected one"),
        (b"file,label,file\na,b,c\n", "2 columns 'file' in file, label, file, expected one"),
        (b"", "no column 'file' in an empty header"),
        (b"file,label\n", "no rows"),
        (b"file,label\na.jpg,\n", "line 2 lacks"),
        (b"file,label\na.jpg\n", "line 2 lacks"),
        (b"file,label\n../secret.jpg,1\n", r"line 2 names '\.\./secret\.jpg', expected a path inside of"),
        (b"file,label\n/etc/passwd,1\n", "expected a path inside of"),
        (b"file,label\na\0.jpg,1\n", "line 2"),
        (b"file,label\na.jpg,1\na\xff.jpg,1\n", "line 3 has the byte 0xff, expected UTF-8"),
        (
            b"file,label\na.jpg,cat\nb.jpg,dog\na.jpg,dog\n",
            r"line 4 labels 'a\.jpg' as 'dog', expected 'cat'",
        ),
        (b"file,label\nmy, cat.jpg,cat\n", "line 2 has more fields than the header"),
        (b'file,label\n"a.jpg,cat\n', "after line 1: unexpected end of data, expected a CSV"),
        (b"file,label\n" + b"a" * 200_000 + b",1\n", "field larger than field limit"),
    ],
)
def test_invalid_tables_are_an_error_that_names_the_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    with pytest.raises(DataError, match=rf"t\.csv: .*{message}"):
        labeled_csv(tmp_path / "t.csv", tmp_path)


def test_unusual_tables_are_read(tmp_path: Path) -> None:
    """The negative control: a byte order mark, quotes, spare commas, empty lines, a file named twice."""
    text = '\ufefffile,label\r\n"my, cat.jpg",cat\r\n\r\nb.jpg,dog,,\r\nb.jpg,dog\r\nü.jpg,cat\r\n'
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    source = labeled_csv(tmp_path / "t.csv", tmp_path)
    assert [source.name(row) for row in range(4)] == ["my, cat.jpg", "b.jpg", "b.jpg", "ü.jpg"]
    assert source.labels.tolist() == [0, 1, 1, 0]


def test_a_table_that_is_not_a_regular_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"t\.csv: a FIFO, a socket or a device, expected a regular file"):
        labeled_csv(tmp_path / "t.csv", tmp_path)
    with pytest.raises(FileNotFoundError):
        labeled_csv(tmp_path / "none.csv", tmp_path)


@pytest.mark.parametrize("order", [["nan", "2", "inf", "10"], ["10", "inf", "2", "nan"]])
def test_labels_that_are_no_finite_numbers_are_words(tmp_path: Path, order: list[str]) -> None:
    (tmp_path / "t.csv").write_text("file,label\n" + "".join(f"{label}.jpg,{label}\n" for label in order))
    assert labeled_csv(tmp_path / "t.csv", tmp_path).class_names == ("2", "10", "inf", "nan")


def test_the_error_for_an_empty_folder_describes_the_layout(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    with pytest.raises(DataError, match="no images found"):
        image_folder(tmp_path)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


NESTED = (
    "cat/b.jpg", "cat/a.png", "cat/sub/c.jpg", "cat/sub/deep/d.JPG", "cat/sub.d/e.jpg", "cat/aa/z.jpg",
    "dog/only/nested/f.webp", "dog/notes.txt", "dog/only/g.tif", "ant/x-1.jpg", "ant/x/1.jpg",
)  # fmt: skip


def test_nested_folders_are_read_in_torchvisions_order(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    root = tmp_path / "images"
    touch(root, *NESTED)
    touch(tmp_path, "elsewhere/linked.jpg")
    (root / "dog" / "link").symlink_to(tmp_path / "elsewhere")
    theirs, ours = ImageFolder(root), image_folder(root)
    assert [(str(ours.path(row)), int(ours.labels[row])) for row in range(len(ours))] == theirs.samples
    assert len(ours) == 11
    assert list(ours.class_names) == theirs.classes


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.jpg", "dog/notes.txt", "emu/.hidden.jpg")
    message = r"no image in 2 of 3 class folders \(dog, emu\), expected .*\.jpg.* remove the empty folders"
    with pytest.raises(DataError, match=message):
        image_folder(tmp_path)
    assert image_folder(tmp_path, class_names=("cat", "dog", "emu")).labels.tolist() == [0]


def test_a_link_to_a_parent_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.jpg")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    with pytest.raises(DataError, match="a link to a folder that contains it"):
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
        "import resource, sys\n"
        "from perfsuite.data.sources.files import image_folder\n"
        "from perfsuite.data.sources.splits import split_source\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak()\n"
        "found = image_folder(sys.argv[1]); parts = split_source(found, 0.1, 0.1)\n"
        "print(len(found), peak() - before, found.nbytes / 2**20)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    output = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout.split()
    files, peak_mib, index_mib = (float(word) for word in output)
    assert files == 1_000_000
    assert peak_mib < 200
    assert index_mib < 60
