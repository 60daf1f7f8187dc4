"""Read the bytes of a file of labels: regular, of bounded size, UTF-8."""

from __future__ import annotations

import os
from pathlib import Path

from perfsuite.data.image_file import regular_file
from perfsuite.errors import DataError

# Above the largest public files: LVIS has 1.1 GB, Objects365 about 3 GB.
MAX_LABEL_FILE_BYTES = 8 << 30
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_label_file(path: str | Path) -> bytes:
    """Read a file of labels, without a byte order mark. FileNotFoundError if it does not exist."""
    try:
        with regular_file(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            size = os.fstat(descriptor).st_size
            if size > MAX_LABEL_FILE_BYTES:
                raise DataError(
                    f"{path}: a file of {size:,} bytes, expected at most {MAX_LABEL_FILE_BYTES:,}; split it"
                )
            return file.read(size).removeprefix(_BYTE_ORDER_MARK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}, expected a readable file of labels") from error


def read_label_text(path: str | Path) -> str:
    """Read a text file of labels."""
    data = read_label_file(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line} has the byte 0x{data[error.start]:02x}, expected UTF-8; save it as UTF-8"
        ) from error
