"""TOML that people write: what cannot be read is a UsageError that names the file.

>>> parse_toml(b"batch_size = 8", "train.toml")
{'batch_size': 8}
>>> parse_toml(b"x = " + b"[" * 5000, "train.toml")
Traceback (most recent call last):
perfsuite.errors.UsageError: train.toml: nested too deeply, expected valid TOML; correct it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError


def read_toml(path: Path, expected: str = "valid TOML; correct it") -> dict[str, Any]:
    """The contents of a file; the error says what was `expected`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}, expected {expected}") from error
    return parse_toml(text, str(path), expected)


def parse_toml(text: bytes, source: str, expected: str = "valid TOML; correct it") -> dict[str, Any]:
    """The contents of a text; `source` is the file or commit that it is from."""
    import tomllib  # most commands read no TOML

    try:
        return tomllib.loads(text.decode())
    except RecursionError as error:
        raise UsageError(f"{source}: nested too deeply, expected {expected}") from error
    except ValueError as error:  # not UTF-8, not TOML, or a number of 5000 digits
        raise UsageError(f"{source}: {error}, expected {expected}") from error
