"""Hostile and unusual map files: the value of every pixel is kept, or the file is refused by name."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perfsuite.data.sources.map_files import (
    MAP_SUFFIXES,
    convert_map,
    read_map,
    read_map_dtype,
    scan_map_folder,
    write_map,
)
from perfsuite.errors import DataError

KEPT = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
WIDER = {"uint16": "int32", "uint32": "int64", "uint64": "int64", ">i2": "int16", ">f4": "float32"}


def npy(array: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text: str, version: tuple[int, int] = (1, 0), data: bytes = b"") -> bytes:
    """The .npy file whose header is this text."""
    length = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text.encode() + data


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(f"{name}.npy", data)
    return file.getvalue()


@pytest.mark.parametrize("suffix", MAP_SUFFIXES)
@pytest.mark.parametrize("dtype", [*KEPT, *WIDER])
def test_every_value_of_every_type_is_kept(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    stored = (np.random.default_rng(1).uniform(0, 100, (4, 5))).astype(dtype)
    write_map(path, stored)
    read = read_map(path)
    assert read.dtype == read_map_dtype(path) == np.dtype(WIDER.get(dtype, dtype))
    np.testing.assert_array_equal(read, stored)


@pytest.mark.parametrize("value", [300, -1, 0.7, np.nan, 1e300])
def test_a_value_that_would_change_is_refused(value: float) -> None:
    values = np.full((2, 2), value)
    with pytest.raises(
        DataError, match=r"its map holds .* \((float|int)64\), expected values that uint8 holds; pass"
    ):
        convert_map(values, np.dtype(np.uint8))
    assert convert_map(np.full((2, 2), 200.0), np.dtype(np.uint8)).tolist() == [[200, 200], [200, 200]]


def test_nan_stays_nan() -> None:
    assert np.isnan(convert_map(np.full((1, 1), np.nan), np.dtype(np.float32))).all()


def test_a_uint64_beyond_int64_is_refused(tmp_path: Path) -> None:
    write_map(tmp_path / "m.npy", np.full((2, 2), 2**64 - 1, np.uint64))
    with pytest.raises(DataError, match="its map holds 18446744073709551615"):
        read_map(tmp_path / "m.npy")


def test_columns_first_is_read(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    write_map(tmp_path / "m.npy", np.asfortranarray(values))
    np.testing.assert_array_equal(read_map(tmp_path / "m.npy"), values)


def test_an_archive_may_have_any_array_name(tmp_path: Path) -> None:
    path, ones = tmp_path / "m.npz", np.ones((2, 3), np.uint8)
    for names in (["arr_0"], ["mask"], ["other", "map"]):
        path.write_bytes(archive(**{name: npy(ones if name != "other" else ones * 7) for name in names}))
        np.testing.assert_array_equal(read_map(path), ones)
    path.write_bytes(archive(a=npy(ones), b=npy(ones)))
    with pytest.raises(DataError, match=r"m\.npz: arrays a, b, expected one, or one named map"):
        read_map(path)
    path.write_bytes(archive())
    with pytest.raises(DataError, match="arrays none, expected one"):
        read_map(path)


HUGE = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
SMALL = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n"
HOSTILE = {
    "empty": b"",
    "no array": b"not an array",
    "truncated magic": b"\x93NUM",
    "truncated header": header(SMALL)[:20],
    "truncated values": header(SMALL, data=b"12345"),
    "claims a terabyte": header(HUGE, data=b"123456"),
    "negative shape": header(SMALL.replace("2, 3", "-2, -3"), data=b"123456"),
    "three dimensions": npy(np.zeros((2, 3, 1), np.uint8)),
    "one dimension": npy(np.zeros(6, np.uint8)),
    "no pixels": npy(np.zeros((0, 3), np.uint8)),
    "pickled objects": npy(np.array([[{}]], object), allow_pickle=True),
    "text": npy(np.array([["a", "b"]])),
    "complex": npy(np.zeros((2, 3), complex)),
    "records": npy(np.zeros((2, 3), [("a", "u1")])),
    "dates": npy(np.zeros((2, 3), "M8[s]")),
    "later version": header(SMALL, (2, 0), b"123456"),
    "unknown version": header(SMALL, (9, 9), b"123456"),
    "header claims 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "deeply nested header": header("(" * 9000),
    "code in the header": header("__import__('os').system('true')"),
    "a list as header": header("[1, 2]\n"),
    "shape of floats": header(SMALL.replace("2, 3", "2.0, 3.0"), data=b"123456"),
    "shape of text": header(SMALL.replace("(2, 3)", "'ab'"), data=b"123456"),
    "bad type": header(SMALL.replace("|u1", "zz"), data=b"123456"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("suffix", MAP_SUFFIXES)
def test_a_damaged_or_hostile_map_is_an_error_with_its_name(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(HOSTILE[name] if suffix == ".npy" else archive(a=HOSTILE[name]))
    with pytest.raises(DataError, match=rf"m\{suffix}: .+; write the map again"):
        read_map(path)


def test_a_damaged_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    whole = archive(a=npy(np.random.default_rng(0).integers(0, 9, (40, 50), np.uint8)))
    for damaged in (whole[:60], b"PK\3\4", whole[:200] + b"xxxx" + whole[204:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"m\.npz: .+; write the map again"):
            read_map(path)


@pytest.mark.parametrize("suffix", MAP_SUFFIXES)
def test_a_fifo_is_refused_and_does_not_hang(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"m{suffix}")
    with pytest.raises(DataError, match="a FIFO, a socket or a device, expected a regular file"):
        read_map(tmp_path / f"m{suffix}")
    with pytest.raises(DataError, match="not a map"):
        scan_map_folder(tmp_path)


def test_a_folder_of_maps_is_listed_with_its_subfolders(tmp_path: Path) -> None:
    write_map(tmp_path / "a" / "b" / "1.npy", np.zeros((2, 2), np.uint8))
    write_map(tmp_path / "2.npz", np.zeros((2, 2), np.uint8))
    (tmp_path / ".hidden").write_text("")
    stored = scan_map_folder(tmp_path)
    assert stored.stems == {"a/b/1", "2"}
    assert stored.first == tmp_path / "2.npz"


@pytest.mark.parametrize("name", ["1.png", "readme.txt", "1", "1.npy.bak"])
def test_a_foreign_file_is_an_error(tmp_path: Path, name: str) -> None:
    write_map(tmp_path / "1.npy", np.zeros((2, 2), np.uint8))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / name).write_text("")
    with pytest.raises(DataError, match=rf"{name}: not a map, expected only \.npy and \.npz files"):
        scan_map_folder(tmp_path)


def test_two_maps_of_one_image_are_an_error(tmp_path: Path) -> None:
    for suffix in MAP_SUFFIXES:
        write_map(tmp_path / f"1{suffix}", np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match=r"1\.npz: a second map of the same image"):
        scan_map_folder(tmp_path)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder of maps"):
        scan_map_folder(tmp_path / "typo")


def test_a_link_to_a_parent_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    with pytest.raises(DataError, match="a link to a folder that contains it"):
        scan_map_folder(tmp_path)
