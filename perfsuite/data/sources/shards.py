"""Write and read WebDataset shards: plain tar files with `key.jpg` and `key.cls` for each image.

The tars' headers are indexed once, and an image is read at its offset. So shards can be shuffled, shared
among ranks and resumed like single files. WebDataset itself can read them too.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perfsuite.atomic import open_replacing
from perfsuite.data.faults import IMAGE_ERRORS, Fault, fault_error, reason_of
from perfsuite.data.image_file import EXTENSIONS, open_image, read_file, regular_file
from perfsuite.data.sources.base import ImageSource, ProgressCallback, read_row
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import file_version
from perfsuite.data.sources.label_files import read_label_file
from perfsuite.errors import DataError

LABEL_SUFFIX = ".cls"
CLASS_NAMES_FILE = "classes.json"
# Class names and counts are allocated for every number up to the largest label.
MAX_CLASSES = 1 << 20
# Read after the last member: two blocks of zeros, which tar pads to a record of 10 KiB.
END_BYTES = 2 * tarfile.RECORDSIZE


def write_shards(
    source: ImageSource,
    folder: str | Path,
    per_shard: int = 1000,
    prefix: str = "shard",
    progress: ProgressCallback | None = None,
) -> list[Path]:
    """Write the source's encoded images and labels into `prefix-000000.tar`, `prefix-000001.tar`, ...

    Each shard is written atomically. An existing shard is an error.
    """
    if per_shard < 1:
        raise ValueError(f"write_shards: per_shard {per_shard}, expected at least 1")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, first in enumerate(range(0, len(source), per_shard)):
        path = folder / f"{prefix}-{number:06d}.tar"
        if path.exists():
            raise DataError(f"{path}: it exists already; choose an empty folder or another prefix")
        rows = range(first, min(first + per_shard, len(source)))
        _write_shard(path, _shard_members(source, rows))
        written.append(path)
        if progress is not None:
            progress(rows.stop, len(source))
    with open_replacing(folder / CLASS_NAMES_FILE) as file:
        file.write(json.dumps(list(source.class_names)).encode())
    return written


def _shard_members(source: ImageSource, rows: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    for row in rows:
        suffix = Path(source.name(row)).suffix.lower()
        if suffix not in EXTENSIONS:  # a reader looks for these; the format is recognized by its bytes
            suffix = ".jpg"
        try:
            data = read_row(source, row)
            _refuse_oversized(data)
        except IMAGE_ERRORS as error:
            fault = Fault(source.name(row), reason_of(error))
            raise fault_error(fault, "repair or remove it; the shard was not written") from error
        yield f"{row:09d}{suffix}", data
        yield f"{row:09d}{LABEL_SUFFIX}", str(int(source.labels[row])).encode()


def _refuse_oversized(data: bytes) -> None:
    """Raise a DataError for an image beyond the pixel limit, which no loader would read.

    Damaged images are copied as they are; `perfsuite data check` finds them.
    """
    try:
        open_image(BytesIO(data)).close()
    except Image.DecompressionBombError as error:
        raise DataError(str(error)) from error
    except Exception:  # PIL raises many types for damaged headers
        return


def _write_shard(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    try:
        with (
            open_replacing(path) as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name, data in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, BytesIO(data))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; the shard was not written") from error


@dataclass(frozen=True, slots=True, eq=False)
class ShardSource:
    """Images inside tar files: the shard, byte offset and size of each row."""

    paths: tuple[str, ...]
    names: PackedStrings
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> bytes:
        data = read_file(self.paths[self.shard[row]], int(self.offset[row]), int(self.size[row]))
        if len(data) != self.size[row]:
            raise DataError(f"{len(data):,} bytes, expected {self.size[row]:,}; the shard is truncated")
        return data

    def name(self, row: int) -> str:
        return f"{self.paths[self.shard[row]]}:{self.names[row]}"

    def version(self, row: int) -> str:
        place = f"{self.offset[row]},{self.size[row]};"
        return file_version(self.paths[self.shard[row]]) + place


def read_shards(folder: str | Path | Sequence[str | Path]) -> ShardSource:
    """Index the shards of a folder in the order of their names, or the given ones in their order."""
    paths = (
        sorted(Path(folder).glob("*.tar")) if isinstance(folder, str | Path) else [Path(p) for p in folder]
    )
    if not paths:
        raise DataError(f"{folder}: no shards found, expected *.tar")
    names: list[str] = []
    labels: list[int] = []
    positions: list[tuple[int, int, int]] = []
    for number, path in enumerate(paths):
        for name, start, length, label in _index_shard(path):
            names.append(name)
            labels.append(label)
            positions.append((number, start, length))
    shard, offset, size = np.array(positions, np.int64).reshape(-1, 3).T
    return ShardSource(
        paths=tuple(map(str, paths)),
        names=PackedStrings.from_strings(names),
        shard=shard.astype(np.int32),
        offset=offset.copy(),
        size=size.copy(),
        labels=np.array(labels, np.int32),
        class_names=_read_class_names(paths[0].parent, labels),
    )


@dataclass(slots=True)
class _Sample:
    """The members of one key: an image, its label, and the names of what is neither."""

    key: str
    image: tuple[str, int, int] | None = None  # name, offset, size
    label: int | None = None
    others: list[str] = field(default_factory=list)


def _index_shard(path: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, offset, size and label of each image. Consecutive members with one key are one sample."""
    try:
        with (
            regular_file(path) as descriptor,
            open(descriptor, "rb", closefd=False) as file,
            tarfile.open(fileobj=file, mode="r:") as tar,
        ):
            sample = _Sample("")
            for entry in tar:
                if entry.size < 0:  # tarfile would go back, and read the same members for ever
                    raise DataError(f"{path}: {entry.name} has {entry.size} bytes, expected 0 or more")
                if entry.isdir():
                    continue
                key, suffix = _split_key(entry.name)
                if key != sample.key:
                    yield from _finish_sample(sample, path)
                    sample = _Sample(key)
                if suffix in EXTENSIONS:
                    _add_image(sample, entry, path)
                elif suffix == LABEL_SUFFIX and entry.isfile():
                    sample.label = _read_label(tar, entry, path)
                else:
                    sample.others.append(entry.name)
            yield from _finish_sample(sample, path)
            _check_end(descriptor, tar.offset, path)
    except (DataError, OSError):
        raise
    except Exception as error:  # tarfile's errors for damaged headers share no base class
        raise DataError(
            f"{path}: {error}; the shard is damaged or not a plain tar, write it again"
        ) from error


def _add_image(sample: _Sample, entry: tarfile.TarInfo, path: Path) -> None:
    if not entry.isfile() or entry.issparse():  # its bytes are elsewhere, or not in one piece
        raise DataError(
            f"{path}: {entry.name} is a link, a sparse or a special file, expected a plain one; "
            "write the shard again (GNU tar: --dereference --hard-dereference)"
        )
    if sample.image is not None:
        raise DataError(
            f"{path}: {sample.image[0]} and {entry.name} are images of one sample, expected one image; "
            "give one of them another suffix"
        )
    sample.image = entry.name, entry.offset_data, entry.size


def _finish_sample(sample: _Sample, path: Path) -> Iterator[tuple[str, int, int, int]]:
    """The image and label of a sample; nothing for members that belong to neither."""
    if sample.image is None and sample.label is None:
        return
    if sample.image is None:
        raise DataError(
            f"{path}: {sample.key}{LABEL_SUFFIX} has no image ({', '.join(sample.others) or 'nothing'} "
            f"beside it), expected one of {', '.join(EXTENSIONS)}"
        )
    if sample.label is None:
        raise DataError(
            f"{path}: {sample.image[0]} has no {LABEL_SUFFIX} member, "
            "expected one with the number of its class"
        )
    yield *sample.image, sample.label


def _check_end(descriptor: int, offset: int, path: Path) -> None:
    """Raise a DataError unless the archive ends where reading ended.

    tarfile takes a damaged header, and the end of a truncated file, for the end of the archive.
    """
    end = os.pread(descriptor, END_BYTES, offset)
    if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
        raise DataError(
            f"{path}: no end of the archive at byte {offset:,}, expected zeros up to its end; "
            "it is truncated, has a damaged header, or a second archive behind it; write it again"
        )


def _split_key(name: str) -> tuple[str, str]:
    """Split a member's name by WebDataset's rule: the key ends at the first dot of the file name.

    >>> _split_key("a.b/000123.seg.png")
    ('a.b/000123', '.png')
    """
    folder, _, file = name.rpartition("/")
    stem, _, suffixes = file.partition(".")
    return (f"{folder}/{stem}" if folder else stem), f".{suffixes.rpartition('.')[2].lower()}"


def _read_label(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> int:
    file = tar.extractfile(entry)
    text = file.read(32).decode("ascii", "replace").strip() if file is not None else ""
    if not text.isdigit() or int(text) >= MAX_CLASSES:
        raise DataError(
            f"{path}: {entry.name} contains {text!r}, expected the number of a class, below {MAX_CLASSES:,}"
        )
    return int(text)


def _read_class_names(folder: Path, labels: Sequence[int]) -> tuple[str, ...]:
    """Read the names stored beside the shards; without them, name the classes by their numbers."""
    count = max(labels, default=-1) + 1
    path = folder / CLASS_NAMES_FILE
    try:
        names = json.loads(read_label_file(path))
    except FileNotFoundError:
        return tuple(str(number) for number in range(count))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {error}, expected a JSON list of class names; write it again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: not a JSON list of texts, expected the class names; write it again")
    if len(names) < count:
        raise DataError(
            f"{path}: {len(names)} class names, expected at least {count} (a shard has label {count - 1})"
        )
    return tuple(names)
