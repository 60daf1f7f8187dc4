"""Hostile option files: each is a UsageError that names the file and the option."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.cli.commands import sweep
from perfsuite.cli.config_file import CommandParser
from perfsuite.cli.sweep_options import SweepOptions, options_from
from perfsuite.errors import UsageError


def read_options(path: Path) -> SweepOptions:
    parser = CommandParser()
    sweep.add_arguments(parser)
    return options_from(parser.parse_args(["--config", str(path)]), SweepOptions, "sweep")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"batch_size = 0", "batch_size: 0, expected a whole number of 1 or more"),
        (b"image_size = -1", "image_size: -1, expected a whole number of 1 or more"),
        (b"batch_size = true", "batch_size: True, expected a whole number"),
        (b"seconds = nan", "seconds: 'nan', expected a time above 0"),
        (b"num_workers = []", "num_workers: an empty list"),
        (b"seconds = 1979-05-27", "seconds: '1979-05-27', expected a time above 0"),
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
    path.write_text(
        "batch-size = 4\nnum_workers = [0, 2]\ndata_dir = 'images'\njson = 'out.json'\nseconds = 90\n"
    )
    options = read_options(path)
    assert options == SweepOptions(
        batch_size=(4,),
        num_workers=(0, 2),
        data_dir=tmp_path / "images",
        json=str(tmp_path / "out.json"),
        seconds=90.0,
    )
    path.write_text("json = '-'\nseconds = '10m'\ndecoder = 'pillow,opencv'\ncheck = false\n")
    assert read_options(path) == SweepOptions(json="-", seconds=600.0, decoder=("pillow", "opencv"))
