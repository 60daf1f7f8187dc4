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
from perfsuite.data.sources.files import is_image_name, refuse_empty_classes
from perfsuite.errors import DataError, StoreError, UsageError, redact_url
from perfsuite.filesystems import open_filesystem

# What stores report of a file that changes with its content: local, S3, Google, Azure, HTTP and memory.
VERSION_KEYS = (
    "size",
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "VersionId",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "modified",
    "created",
)


@dataclass(slots=True, eq=False)
class RemoteFileSource:
    """Images under a URL, each fetched as a whole. Every process opens its own connection."""

    address: str
    names: PackedStrings
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    sizes: NDArray[np.int64] | None = None  # bytes of each file; 0 if the store does not report it
    versions: PackedStrings | None = None
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
            raise DataError(f"{type(error).__name__}: {redact_url(str(error))}") from error
        return bytes(data)

    def name(self, row: int) -> str:
        return f"{redact_url(self.address)}/{self.names[row]}"

    def version(self, row: int) -> str:
        """What the store said of the file when it was listed."""
        return "" if self.versions is None else self.versions[row]

    def _filesystem(self) -> tuple[Any, str]:
        # A connection does not survive a fork, so each process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *_open_filesystem(self.address, self.options))
        return self._opened[1], self._opened[2]

    def __getstate__(self) -> dict[str, Any]:
        fields = ("address", "names", "labels", "class_names", "options", "sizes", "versions")
        return {name: getattr(self, name) for name in fields}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._opened = None


def remote_folder(address: str, **options: Any) -> RemoteFileSource:
    """List class folders, nested or not, at a URL; `options` go to fsspec (credentials, endpoints)."""
    system, root = _open_filesystem(address, options)
    shown = redact_url(address)
    listing, folders = _list_store(system, root, shown)
    entries = {path.removeprefix(root).lstrip("/"): entry for path, entry in listing.items()}
    images = sorted(filter(_is_class_image, entries), key=_image_order)
    if not images:
        raise DataError(f"{shown}: no images found, expected {shown}/<class>/<image>.jpg")
    classes = tuple(sorted({path.partition("/")[0] for path in images}))
    empty = sorted(folders.difference(classes))
    refuse_empty_classes(shown, empty, len(classes) + len(empty))
    index_of = {name: index for index, name in enumerate(classes)}
    labels = np.fromiter((index_of[path.partition("/")[0]] for path in images), np.int32, len(images))
    return RemoteFileSource(
        address=address.rstrip("/"),
        names=PackedStrings.from_strings(images),
        labels=labels,
        class_names=classes,
        options=options,
        sizes=np.fromiter((entries[path].get("size") or 0 for path in images), np.int64, len(images)),
        versions=PackedStrings.from_strings(_describe_version(entries[path]) for path in images),
    )


def _list_store(system: Any, root: str, shown: str) -> tuple[Mapping[str, Any], set[str]]:
    """All files below a folder with what the store says of them, and the names of its class folders."""
    try:
        listing: Mapping[str, Any] = system.find(root, detail=True)
        top: list[Mapping[str, Any]] = system.ls(root, detail=True)
    except FileNotFoundError:
        return {}, set()
    except Exception as error:  # each store has its own error types
        raise DataError(
            f"{shown}: {type(error).__name__}: {redact_url(str(error))}; "
            "check the address, the credentials and that the store answers"
        ) from error
    names = {
        str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in top if entry.get("type") == "directory"
    }
    return listing, {name for name in names if name and not name.startswith(".")}


def _describe_version(entry: Mapping[str, Any]) -> str:
    return ";".join(f"{key}={entry[key]}" for key in VERSION_KEYS if entry.get(key) is not None)


def _is_class_image(path: str) -> bool:
    """Whether a path is an image in or below a class folder, by the same rule as for local folders."""
    *folders, file = path.split("/")
    is_visible = bool(folders) and not any(folder.startswith(".") for folder in folders)
    return is_visible and bool(file) and is_image_name(file)


def _image_order(path: str) -> tuple[str, str, str]:
    """In the order of local folders: by class, then by folder, then by name."""
    class_name, _, rest = path.partition("/")
    folder, _, file = rest.rpartition("/")
    return class_name, folder, file


def _is_local(system: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)


def _open_filesystem(address: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    try:
        return open_filesystem(address, shared=False, **options)
    except (StoreError, UsageError) as error:
        raise DataError(str(error)) from error
