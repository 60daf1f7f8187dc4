"""Files of label maps: one array of height x width in a .npy, or in a .npz under any name.

A header can claim any shape and type. It is checked before anything is allocated, and nothing is unpickled.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from perfsuite.atomic import open_replacing
from perfsuite.data.image_file import check_pixels, regular_file
from perfsuite.data.sources.folder_walk import walk_files
from perfsuite.errors import DataError
from perfsuite.paths import stays_inside

MapArray = NDArray[Any]
MAP_SUFFIXES = (".npy", ".npz")
ARRAY_NAME = "map"  # of the arrays that write_map stores
_NPY_VERSION = (1, 0)  # later versions are for headers of more than 64 KB
# torch has no arithmetic for these types: their values are kept in a type that holds them.
_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.int64}
_MAP_TYPES = (
    np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64
)  # fmt: skip
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredMaps:
    """The maps in a folder: their paths from it without suffix, and the first file, if there is any."""

    stems: frozenset[str]
    first: Path | None


def map_path(folder: str | Path, file: str, suffix: str) -> Path:
    """Where the map of an image file is stored."""
    if not stays_inside(file):
        raise DataError(f"maps: the image {file!r}, expected a path inside of {folder}")
    return (Path(folder) / file).with_suffix(suffix)


def map_stem(file: str) -> str:
    """The path of an image or a map without its suffix: equal for an image and its map."""
    return Path(file).with_suffix("").as_posix()


def scan_map_folder(folder: str | Path) -> StoredMaps:
    """List the maps of a folder. Any other visible file is an error, and so is an image with two maps."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder of maps, expected one; 'perfsuite data maps' draws"
        )
    stems, first = set(), None
    for name, entry in walk_files(folder):
        path = Path(folder, name)
        if path.suffix not in MAP_SUFFIXES or not entry.is_file():
            raise DataError(
                f"{path}: not a map, expected only {' and '.join(MAP_SUFFIXES)} files in a folder of maps; "
                "keep other files elsewhere"
            )
        if (stem := map_stem(name)) in stems:
            raise DataError(f"{path}: a second map of the same image, expected one; remove the older one")
        stems.add(stem)
        first = first or path
    return StoredMaps(frozenset(stems), first)


def kept_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which a batch keeps maps of this type.

    >>> kept_dtype(np.dtype("uint16")), kept_dtype(np.dtype(">f4"))
    (dtype('int32'), dtype('float32'))
    """
    native = dtype.newbyteorder("=")
    kept = np.dtype(_WIDER.get(native, native))
    if kept not in map(np.dtype, _MAP_TYPES):
        raise DataError(f"numbers of type {dtype}, expected bool, integers or floats of up to 64 bits")
    return kept


def convert_map(values: MapArray, dtype: np.dtype[Any]) -> MapArray:
    """The map in another type; a DataError if any value would change."""
    if values.dtype == dtype:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        converted = values.astype(dtype)
    changed = converted != values
    if np.issubdtype(values.dtype, np.floating):
        changed &= ~(np.isnan(converted) & np.isnan(values))
    if changed.any():
        raise DataError(
            f"its map holds {values[changed][0]} ({values.dtype}), expected values that {dtype} holds; "
            f"pass maps=MapSource(folder, dtype='{kept_dtype(values.dtype)}')"
        )
    return np.asarray(converted)


def write_map(path: str | Path, label_map: MapArray) -> None:
    """Store a map atomically, uncompressed (.npy) or compressed (.npz)."""
    path = Path(path)
    with open_replacing(path) as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, map=label_map)
        else:
            np.save(file, label_map, allow_pickle=False)


def read_map(path: str | Path) -> MapArray:
    """Read a stored map in the type in which a batch keeps it."""
    return _with_array(Path(path), _read_array)


def read_map_dtype(path: str | Path) -> np.dtype[Any]:
    """The type in which a batch keeps a stored map, read from its header."""
    return _with_array(Path(path), lambda file: kept_dtype(_read_header(file)[2]))


def _with_array(path: Path, read: Callable[[IO[bytes]], T]) -> T:
    try:
        with _open_array(path) as file:
            return read(file)
    except FileNotFoundError:
        raise
    except Exception as error:  # the zip, header and value errors of a damaged file share no base class
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path}: {reason or type(error).__name__}; write the map again") from error


@contextmanager
def _open_array(path: Path) -> Iterator[IO[bytes]]:
    """The .npy data of a file, or of the array in an archive."""
    with regular_file(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        if path.suffix != ".npz":
            yield file
            return
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            name = names[0] if len(names) == 1 else ARRAY_NAME
            if name not in names:
                raise DataError(
                    f"arrays {', '.join(names) or 'none'}, expected one, or one named {ARRAY_NAME}"
                )
            with archive.open(f"{name}.npy") as member:
                yield member


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, whether columns come first, and the type, all checked."""
    version = np.lib.format.read_magic(file)
    if version != _NPY_VERSION:
        raise DataError(f"version {version} of the .npy format, expected {_NPY_VERSION}")
    shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
    if len(shape) != 2 or min(shape) < 1:
        raise DataError(f"an array of shape {shape}, expected height x width")
    check_pixels(shape[1], shape[0])
    kept_dtype(dtype)
    return shape, columns_first, dtype


def _read_array(file: IO[bytes]) -> MapArray:
    shape, columns_first, dtype = _read_header(file)
    expected = shape[0] * shape[1] * dtype.itemsize
    data = file.read(expected)
    if len(data) < expected:
        raise DataError(f"{len(data):,} bytes of values, expected {expected:,}")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")
    return convert_map(values, kept_dtype(dtype))
