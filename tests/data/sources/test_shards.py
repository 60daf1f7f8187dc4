from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from perfsuite.data.loaders import make_loaders
from perfsuite.data.order import Order
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.shards import CLASS_NAMES_FILE, read_shards, write_shards
from perfsuite.errors import DataError
from tests.data.images import block_image, encode


@pytest.fixture(scope="module")
def shards(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shard_folder = tmp_path_factory.mktemp("shards")
    write_shards(image_folder(folder), shard_folder, per_shard=16)
    return shard_folder


def test_written_shards_are_read_unchanged(folder: Path, shards: Path) -> None:
    source, shard_source = image_folder(folder), read_shards(shards)
    assert sorted(path.name for path in shards.glob("*.tar")) == [f"shard-{n:06d}.tar" for n in range(3)]
    assert len(shard_source) == len(source) == 40
    assert shard_source.class_names == source.class_names
    assert shard_source.labels.tolist() == source.labels.tolist()
    assert all(shard_source.read(row) == source.read(row) for row in range(40))


def test_loaders_give_the_same_batches_from_shards_as_from_files(folder: Path, shards: Path) -> None:
    batches = []
    for source in (image_folder(folder), read_shards(shards)):
        parts = {"train": source, "val": source, "test": source}
        batches.append(list(make_loaders(parts, 8, 2, "moderate", image_size=32).train))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(*batches, strict=True))


def test_ranks_share_shards_evenly(shards: Path) -> None:
    shard_source = read_shards(shards)
    used = [
        int(row) for rank in range(3) for row in Order(len(shard_source), 4, rank=rank, world_size=3).rows(0)
    ]
    assert set(used) == set(range(40))
    assert len(used) == 42


def test_webdataset_reads_the_shards(shards: Path) -> None:
    pytest.importorskip("webdataset", reason="webdataset is not installed (extra: shards)")
    code = (
        "import hashlib, sys, webdataset\n"
        "for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):\n"
        "    print(hashlib.sha256(sample['jpg']).hexdigest(), int(sample['cls']))\n"
    )
    paths = [str(path) for path in sorted(shards.glob("*.tar"))]
    completed = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    shard_source = read_shards(shards)
    expected = [
        (hashlib.sha256(shard_source.read(row)).hexdigest(), str(shard_source.labels[row]))
        for row in range(40)
    ]
    assert [tuple(line.split()) for line in completed.stdout.splitlines()] == expected


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_other_members_are_ignored(tmp_path: Path) -> None:
    members = [("a/1.cls", b"2"), ("a/1.jpg", b"x"), ("a/1.json", b"{}")]
    members += [("b/1.JPG", b"yy"), ("b/1.cls", b"0\n")]
    shard_source = read_shards([write_tar(tmp_path / "s.tar", members)])
    assert shard_source.labels.tolist() == [2, 0]
    assert [shard_source.read(row) for row in (0, 1)] == [b"x", b"yy"]
    assert shard_source.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("1.jpg", b"x")], "has no .cls member"),
        ([("1.jpg", b"x"), ("1.cls", b"cat")], "contains 'cat', expected the number"),
        ([("1.jpg", b"x"), ("1.cls", b"-1")], "contains '-1', expected the number"),
        ([("1.jpg", b"x"), ("1.cls", b"999999999")], "contains '999999999', expected .* below 1,048,576"),
        ([("1.jpg", b"x"), ("1.cls", b"9" * 31)], "expected the number of a class, below"),
        ([("1.cls", b"0"), ("1.gif", b"x")], r"1\.cls has no image \(1\.gif beside it\), expected"),
        ([("1.cls", b"0")], r"1\.cls has no image \(nothing beside it\)"),
        (
            [("1.jpg", b"x"), ("1.seg.png", b"y"), ("1.cls", b"0")],
            r"1\.jpg and 1\.seg\.png are images of one sample, expected one image",
        ),
    ],
)
def test_invalid_shards_are_an_error(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_shards([write_tar(tmp_path / "s.tar", members)])


def whole_tar(tmp_path: Path) -> bytes:
    sample = [("jpg", b"x"), ("cls", b"0")]
    members = [(f"{number}.{kind}", data) for number in range(4) for kind, data in sample]
    return write_tar(tmp_path / "whole.tar", members).read_bytes()


def damage_the_fifth_header(data: bytes) -> bytes:
    return data[: 4 * 1024] + b"\xff" * 4 + data[4 * 1024 + 4 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a damaged header in the middle": damage_the_fifth_header,
    "cut between two members": lambda data: data[: 4 * 1024],
    "cut within a header": lambda data: data[: 4 * 1024 + 100],
    "cut within an image": lambda data: data[: 4 * 1024 + 512],
    "two archives, one behind the other": lambda data: data + data,
    "something behind the end": lambda data: data[:-1] + b"x",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_shard_that_would_lose_images_silently_is_an_error(tmp_path: Path, damage: str) -> None:
    """tarfile takes what it cannot read for the end of the archive."""
    data = whole_tar(tmp_path)
    assert len(read_shards([tmp_path / "whole.tar"])) == 4
    path = tmp_path / "damaged.tar"
    path.write_bytes(DAMAGE[damage](data))
    with tarfile.open(path) as tar, suppress(tarfile.ReadError):
        assert len(list(tar)) <= 8  # without an error in all cases but one
    with pytest.raises(DataError, match=r"damaged\.tar: "):
        read_shards([path])


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE])
def test_an_image_that_is_no_plain_file_is_an_error(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        entry = tarfile.TarInfo("2.jpg")
        entry.type, entry.linkname = kind, "1.jpg"
        tar.addfile(entry)
    with pytest.raises(DataError, match=r"2\.jpg is a link, .*, expected a plain one"):
        read_shards([tmp_path / "s.tar"])


def test_a_sparse_image_is_an_error(tmp_path: Path) -> None:
    """Its bytes are not in one piece, so those from its offset on would be others."""
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("1.jpg")
        entry.pax_headers = {"GNU.sparse.size": "4096", "GNU.sparse.map": "0,1,4095,1"}
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"ab"))
    with pytest.raises(DataError, match=r"1\.jpg is a link, a sparse or a special file"):
        read_shards([tmp_path / "s.tar"])


def test_an_image_of_any_name_is_read_back(tmp_path: Path) -> None:
    names = ["a.gif", "b", "c.JPG", "d.png", "e.cls", "f.tar.gz"]
    (tmp_path / "p").mkdir()
    for name in names:
        (tmp_path / "p" / name).write_bytes(encode(block_image(), "PNG"))
    labels = np.arange(len(names), dtype=np.int32)
    source = FileSource(str(tmp_path / "p"), PackedStrings.from_strings(names), labels, tuple(names))
    write_shards(source, tmp_path / "s")
    shard_source = read_shards(tmp_path / "s")
    assert shard_source.labels.tolist() == labels.tolist()
    suffixes = [shard_source.names[row].rpartition(".")[2] for row in range(6)]
    assert suffixes == ["jpg", "jpg", "jpg", "png", "jpg", "jpg"]


def test_a_file_that_is_no_tar_and_an_empty_folder_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no shards found"):
        read_shards(tmp_path)
    (tmp_path / "s.tar").write_bytes(b"not a tar" * 200)
    with pytest.raises(DataError, match="damaged or not a plain tar"):
        read_shards(tmp_path)


def test_a_shard_truncated_after_indexing_gives_faults(folder: Path, tmp_path: Path) -> None:
    (path,) = write_shards(image_folder(folder), tmp_path)
    shard_source = read_shards(tmp_path)
    path.write_bytes(path.read_bytes()[: int(shard_source.offset[20])])
    parts = dict.fromkeys(("train", "val", "test"), shard_source)
    loader = make_loaders(parts, 8, 0, on_error="skip", image_size=32).val
    assert sum(len(labels) for _, labels in loader) == 20
    assert "truncated" in str(loader.faults)


def test_shards_are_not_overwritten_and_leave_no_temporary_files(folder: Path, shards: Path) -> None:
    with pytest.raises(DataError, match="it exists already"):
        write_shards(image_folder(folder), shards)
    assert not list(shards.glob(".*"))


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(
    folder: Path, tmp_path: Path
) -> None:
    outside, shards = tmp_path / "outside", tmp_path / "shards"
    shards.mkdir()
    for name in ("shard-000000.tar", CLASS_NAMES_FILE):
        (shards / name).symlink_to(outside)
    write_shards(image_folder(folder), shards)
    assert not outside.exists()
    assert len(read_shards(shards)) == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[", "expected a JSON list of class names"),
        (b"[" * 100_000, "expected a JSON list of class names"),
        (b"\xff\xfe", "expected a JSON list of class names"),
        (b'{"a": 1}', "not a JSON list of texts"),
        (b'["a", 1]', "not a JSON list of texts"),
        (b'["a"]', r"1 class names, expected at least 3 \(a shard has label 2\)"),
    ],
)
def test_invalid_class_names_are_an_error_that_names_the_file(
    tmp_path: Path, text: bytes, message: str
) -> None:
    write_tar(tmp_path / "s.tar", [("1.jpg", b"x"), ("1.cls", b"2")])
    (tmp_path / "classes.json").write_bytes(text)
    with pytest.raises(DataError, match=message) as raised:
        read_shards(tmp_path)
    assert "classes.json: " in str(raised.value)


def tar_header(name: str, size_field: bytes, kind: bytes = b"0") -> bytes:
    """A header of 512 bytes with any size field, and a right checksum."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = size_field
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"g", b"S"])
@pytest.mark.parametrize(
    "size_field", [b"\xff" * 11 + b"\x00", b"\x80" + b"\xff" * 11, b"77777777777\0", b"x" * 12, b"\0" * 12]
)
def test_hostile_headers_are_an_error_or_no_image(tmp_path: Path, kind: bytes, size_field: bytes) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(tar_header("1.jpg", size_field, kind) + b"\0" * 2048)
    message = ""
    try:
        images = len(read_shards([path]))
    except DataError as error:
        images, message = 0, str(error)
    assert images == 0
    assert not message or str(path) in message


def test_an_image_beyond_the_pixel_limit_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "p" / "a").mkdir(parents=True)
    data = bytearray(encode(block_image(), "JPEG"))
    size_field = data.index(b"\xff\xc0") + 5
    data[size_field : size_field + 4] = (30_000).to_bytes(2) * 2
    (tmp_path / "p" / "a" / "huge.jpg").write_bytes(data)
    with pytest.raises(
        DataError, match=r"a/huge.jpg: claims 30,000 x 30,000 pixels.*the shard was not written"
    ):
        write_shards(image_folder(tmp_path / "p"), tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.tar"))


def test_a_rewritten_shard_has_another_version(folder: Path, tmp_path: Path) -> None:
    (path,) = write_shards(image_folder(folder), tmp_path)
    before = read_shards(tmp_path)
    versions = [before.version(row) for row in range(3)]
    assert len(set(versions)) == 3
    path.write_bytes(path.read_bytes())
    assert read_shards(tmp_path).version(0) != versions[0]
