"""TOML that people write: it is read, or the error names the file and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.errors import UsageError
from perfsuite.toml_file import parse_toml, read_toml


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('name = "ü"\n[table]\nvalues = [1, 2]\n', encoding="utf-8")
    assert read_toml(path) == {"name": "ü", "table": {"values": [1, 2]}} == parse_toml(path.read_bytes(), "a")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"x = ", "Invalid value"),
        (b"\xff", "can't decode byte"),
        (b"x = " + b"9" * 5000, "integer string conversion"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    ],
    ids=("no value", "not UTF-8", "a long number", "deep brackets"),
)
def test_what_cannot_be_read_is_named_with_what_was_expected(
    text: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=rf"a\.toml: .*{reason}.*expected loader settings|a\.toml: {reason}"):
        read_toml(path, "loader settings")


def test_a_file_that_is_absent_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        with pytest.raises(UsageError, match=rf"{path}: .*, expected valid TOML"):
            read_toml(path)
