"""A source of class folders in a remote store: any URL that fsspec supports (s3://, gs://, file://)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.image_file import check_file_bytes, read_file
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import is_image_name
from perfsuite.errors import DataError


@dataclass(slots=True, eq=False)
class RemoteFileSource:
    """Images under a URL, each fetched as a whole. Every process opens its own connection."""

    address: str
    names: PackedStrings
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    sizes: NDArray[np.int64] | None = None  # bytes of each file; 0 if the store does not report it
    _opened: tuple[int, Any, str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, row: int) -> bytes:
        system, root = self._filesystem()
        path = f"{root}/{self.names[row]}"
        if _is_local(system):
            return read_file(path)
        if self.sizes is not None:
            check_file_bytes(int(self.sizes[row]))
        try:
            data = system.cat_file(path)
        except OSError:
            raise
        except Exception as error:  # each store has its own error types
            raise DataError(f"{type(error).__name__}: {error}") from error
        return bytes(data)

    def name(self, row: int) -> str:
        return f"{self.address}/{self.names[row]}"

    def _filesystem(self) -> tuple[Any, str]:
        # A connection does not survive a fork, so each process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *_open_filesystem(self.address, self.options))
        return self._opened[1], self._opened[2]

    def __getstate__(self) -> dict[str, Any]:
        fields = ("address", "names", "labels", "class_names", "options", "sizes")
        return {name: getattr(self, name) for name in fields}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._opened = None


def remote_folder(address: str, **options: Any) -> RemoteFileSource:
    """List a folder of class folders at a URL; `options` go to fsspec (credentials, endpoints)."""
    system, root = _open_filesystem(address, options)
    try:
        listing = system.find(root, detail=True)
    except FileNotFoundError:
        listing = {}
    file_sizes = {
        path.removeprefix(root).lstrip("/"): entry.get("size") or 0 for path, entry in listing.items()
    }
    images = sorted(filter(_is_class_image, file_sizes))
    if not images:
        raise DataError(f"{address}: no images found, expected {address}/<class>/<image>.jpg")
    classes = tuple(sorted({path.partition("/")[0] for path in images}))
    index_of = {name: index for index, name in enumerate(classes)}
    labels = np.fromiter((index_of[path.partition("/")[0]] for path in images), np.int32, len(images))
    return RemoteFileSource(
        address=address.rstrip("/"),
        names=PackedStrings.from_strings(images),
        labels=labels,
        class_names=classes,
        options=options,
        sizes=np.fromiter((file_sizes[path] for path in images), np.int64, len(images)),
    )


def _is_class_image(path: str) -> bool:
    """Whether a path is class/image, by the same rule as for local folders."""
    folder, _, file = path.partition("/")
    return "/" not in file and not folder.startswith(".") and bool(file) and is_image_name(file)


def _is_local(system: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)


def _open_filesystem(address: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise DataError(f"{address}: fsspec is not installed; pip install 'perfsuite[remote]'") from error
    try:
        system, root = fsspec.core.url_to_fs(address, skip_instance_cache=True, **options)
    except (ImportError, ValueError) as error:
        raise DataError(f"{address}: {error}") from error
    return system, root.rstrip("/")
