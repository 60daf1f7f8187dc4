from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from perfsuite.data.loaders import make_loaders
from perfsuite.data.order import Order
from perfsuite.data.sources.files import image_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.errors import DataError


@pytest.fixture(scope="module")
def shards(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shards")
    write_shards(image_folder(folder), place, per_shard=16)
    return place


def test_what_was_written_is_read_back(folder: Path, shards: Path) -> None:
    source, found = image_folder(folder), read_shards(shards)
    assert sorted(path.name for path in shards.glob("*.tar")) == [f"shard-{n:06d}.tar" for n in range(3)]
    assert len(found) == len(source) == 40
    assert found.class_names == source.class_names
    assert found.labels.tolist() == source.labels.tolist()
    assert all(found.read(row) == source.read(row) for row in range(40))


def test_loaders_show_the_same_from_shards_as_from_files(folder: Path, shards: Path) -> None:
    shown = []
    for source in (image_folder(folder), read_shards(shards)):
        parts = {"train": source, "val": source, "test": source}
        shown.append(list(make_loaders(parts, 8, 2, "moderate", image_size=32).train))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(*shown, strict=True))


def test_ranks_share_shards_evenly_whatever_their_number(shards: Path) -> None:
    found = read_shards(shards)
    seen = [int(row) for rank in range(3) for row in Order(len(found), 4, rank=rank, world_size=3).rows(0)]
    assert set(seen) == set(range(40))
    assert len(seen) == 42


def test_webdataset_reads_them_too(shards: Path) -> None:
    pytest.importorskip("webdataset", reason="webdataset is not installed (extra: shards)")
    code = (
        "import hashlib, sys, webdataset\n"
        "for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):\n"
        "    print(hashlib.sha256(sample['jpg']).hexdigest(), int(sample['cls']))\n"
    )
    paths = [str(path) for path in sorted(shards.glob("*.tar"))]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True)
    found = read_shards(shards)
    expected = [(hashlib.sha256(found.read(row)).hexdigest(), str(found.labels[row])) for row in range(40)]
    assert [tuple(line.split()) for line in done.stdout.splitlines()] == expected


def archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_other_members_are_passed_over(tmp_path: Path) -> None:
    members = [("a/1.cls", b"2"), ("a/1.jpg", b"x"), ("a/1.json", b"{}")]
    members += [("b/1.JPG", b"yy"), ("b/1.cls", b"0\n")]
    found = read_shards([archive(tmp_path / "s.tar", members)])
    assert found.labels.tolist() == [2, 0]
    assert [found.read(row) for row in (0, 1)] == [b"x", b"yy"]
    assert found.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("1.jpg", b"x")], "has no .cls beside it"),
        ([("1.jpg", b"x"), ("1.cls", b"cat")], "says 'cat', expected the number"),
    ],
)
def test_shards_without_sense_are_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_shards([archive(tmp_path / "s.tar", members)])


def test_a_file_that_is_no_tar_and_a_folder_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no shards found"):
        read_shards(tmp_path)
    (tmp_path / "s.tar").write_bytes(b"not a tar" * 200)
    with pytest.raises(DataError, match="damaged or no plain tar"):
        read_shards(tmp_path)


def test_a_shard_that_was_cut_after_indexing_is_a_fault_that_is_named(folder: Path, tmp_path: Path) -> None:
    (path,) = write_shards(image_folder(folder), tmp_path)
    found = read_shards(tmp_path)
    path.write_bytes(path.read_bytes()[: int(found.offset[20])])
    parts = dict.fromkeys(("train", "val", "test"), found)
    loader = make_loaders(parts, 8, 0, on_error="skip", image_size=32).val
    assert sum(len(labels) for _, labels in loader) == 20
    assert "cut off" in str(loader.faults)


def test_shards_are_never_overwritten_and_leave_no_drafts(folder: Path, shards: Path) -> None:
    with pytest.raises(DataError, match="is there already"):
        write_shards(image_folder(folder), shards)
    assert not list(shards.glob(".*"))
