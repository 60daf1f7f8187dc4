"""Hostile option files: each is a UsageError that names the file and the option."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli.sweep_options import read_options
from perfsuite.errors import UsageError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"batch_size = 0", "batch_size: 0, expected a whole number of 1 or more"),
        (b"image_size = -1", "image_size: -1, expected a whole number of 1 or more"),
        (b"batch_size = true", "batch_size: True, expected a whole number"),
        (b"seconds = nan", "seconds: nan, expected a number above 0"),
        (b"num_workers = []", "num_workers: an empty list"),
        (b"seconds = 1979-05-27", "seconds: datetime"),
        (b"batch-size = 1\nbatch_size = 2", "batch_size is given twice"),
        (b'data_dir = "a\\u0000b"', "data_dir: 'a.x00b', expected text without a NUL"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"batch_size = " + b"9" * 5000, "expected TOML"),
        (b"decoder = '\xff'", "expected TOML"),
        (b"\x00", "expected TOML"),
        (b"surprise = 1", "'surprise', expected one of data_dir"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_wrong_file_is_named_with_what_is_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"sweep\.toml: .*{message}|sweep\.toml: {message}"):
        read_options(path)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text("batch-size = 4\nnum_workers = [0, 2]\ndata_dir = 'images'\n")
    expected = {"batch_size": (4,), "num_workers": (0, 2), "data_dir": tmp_path / "images"}
    assert read_options(path) == expected
