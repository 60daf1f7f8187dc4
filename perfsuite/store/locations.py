"""Locations of files: a local folder, or a URL through fsspec. `create` never overwrites a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from perfsuite import atomic
from perfsuite.errors import StoreError, UsageError
from perfsuite.filesystems import is_url, open_filesystem
from perfsuite.paths import resolves_inside, stays_inside

MAX_FILE_BYTES = 64 * 2**20  # parsing takes six times as much memory


class Location(Protocol):
    """Files under one root. Names are relative paths with slashes."""

    root: str

    def stamps(self, folder: str = "") -> dict[str, str]:
        """The `.json` files in a folder, each with a stamp that changes when the file changes."""

    def read(self, name: str) -> bytes: ...

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of those files that can be read."""

    def create(self, name: str, data: bytes) -> None:
        """Write a new file; FileExistsError if it exists."""

    def replace(self, name: str, data: bytes, durable: bool = True) -> None: ...

    def remove(self, name: str) -> None: ...

    def folders(self) -> list[str]: ...


def open_location(root: str | Path) -> Location:
    """The location of a path or URL.

    >>> open_location("benchmarks/baselines").root
    'benchmarks/baselines'
    """
    return RemoteFolder(str(root)) if is_url(str(root)) else LocalFolder(Path(root))


class LocalFolder:
    """Files under a folder. Neither `..` nor a symbolic link leads out of it."""

    def __init__(self, root: Path) -> None:
        self.path = root
        self.root = str(root)

    def stamps(self, folder: str = "") -> dict[str, str]:
        path = self._inside(folder)
        try:
            with os.scandir(path) as entries:
                return {
                    entry.name: _stamp(entry)
                    for entry in entries
                    if entry.name.endswith(".json") and not entry.name.startswith(".")
                }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise read_error(str(path), error) from error

    def read(self, name: str) -> bytes:
        path = self._inside(name)
        return _read_file(path)

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        contents = {}
        for name in names:
            try:
                contents[name] = _read_file(self._inside(name))
            except StoreError:
                continue
        return contents

    def create(self, name: str, data: bytes) -> None:
        atomic.create(self._inside(name), data)

    def replace(self, name: str, data: bytes, durable: bool = True) -> None:
        atomic.replace(self._inside(name), data, durable)

    def remove(self, name: str) -> None:
        self._inside(name).unlink(missing_ok=True)

    def folders(self) -> list[str]:
        if not self.path.is_dir():
            return []
        return sorted(path.name for path in self.path.iterdir() if path.is_dir() and path.name[0] != ".")

    def _inside(self, name: str) -> Path:
        return _checked(self.path / name, self.path)


class RemoteFolder:
    """Objects under a URL. An object store needs no rename: each put is atomic."""

    def __init__(self, url: str) -> None:
        self.root = url.rstrip("/")
        self._files, self._base = open_filesystem(self.root)

    def stamps(self, folder: str = "") -> dict[str, str]:
        with _name_url_in_errors(f"{self.root}/{folder}"):
            try:
                self._files.invalidate_cache()
                listed = self._files.ls(self._path(folder), detail=True)
            except FileNotFoundError:
                return {}
        names = {entry["name"].rstrip("/").rsplit("/", 1)[-1]: entry for entry in listed}
        return {
            name: _remote_stamp(entry)
            for name, entry in names.items()
            if name.endswith(".json") and not name.startswith(".") and entry.get("type") != "directory"
        }

    def read(self, name: str) -> bytes:
        with _name_url_in_errors(f"{self.root}/{name}"):
            path = self._path(name)
            refuse_large(f"{self.root}/{name}", int(self._files.info(path).get("size") or 0))
            data: bytes = self._files.cat_file(path)
            return data

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        with _name_url_in_errors(self.root):
            # In one call, since s3fs and gcsfs then fetch many files at a time.
            contents = self._files.cat(list(paths), on_error="omit")
        return {paths[path]: data for path, data in contents.items() if path in paths}

    def create(self, name: str, data: bytes) -> None:
        with _name_url_in_errors(f"{self.root}/{name}"):
            path = self._path(name)
            if self._files.exists(path):
                raise FileExistsError(path)
            self._put(path, data)

    def replace(self, name: str, data: bytes, durable: bool = True) -> None:
        with _name_url_in_errors(f"{self.root}/{name}"):
            self._put(self._path(name), data)

    def remove(self, name: str) -> None:
        with _name_url_in_errors(f"{self.root}/{name}"):
            self._files.rm_file(self._path(name))

    def folders(self) -> list[str]:
        with _name_url_in_errors(self.root):
            try:
                listed = self._files.ls(self._base, detail=True)
            except FileNotFoundError:
                return []
        names = (
            entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in listed if entry["type"] == "directory"
        )
        return sorted(name for name in names if not name.startswith("."))

    def _put(self, path: str, data: bytes) -> None:
        if self._is_local:
            atomic.replace(Path(path), data)
        else:
            self._files.pipe_file(path, data)

    def _path(self, name: str) -> str:
        if not stays_inside(name):
            raise StoreError(f"{self.root}/{name}: leads out of {self.root}; nothing was read or written")
        path = f"{self._base}/{name}".rstrip("/")
        if self._is_local:
            _checked(Path(path), Path(self._base))
        return path

    @property
    def _is_local(self) -> bool:
        """Whether this is a local folder (file://), where writes can be torn and links can lead out."""
        return getattr(self._files, "protocol", "") in ("file", ("file", "local"))


def _checked(path: Path, root: Path) -> Path:
    """Return the path if it stays in the root with every link followed; otherwise raise StoreError."""
    if not resolves_inside(path, root):
        raise StoreError(
            f"{path}: leads out of {root}, through a link or ..; nothing was read or written; remove the link"
        )
    return path


def read(source: str | Path) -> bytes:
    """The bytes of a file or URL."""
    if is_url(str(source)):
        return _read_url(str(source))
    return _read_file(Path(source))


def _read_file(path: Path) -> bytes:
    """The bytes of a regular file of acceptable size; a FIFO is not waited for."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise StoreError(f"{path}: not a regular file, expected a run; name another file")
            refuse_large(str(path), facts.st_size)
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise read_error(str(path), error) from error


def refuse_large(source: str, size_bytes: int) -> None:
    """StoreError for a file that would fill the memory when it is parsed."""
    if size_bytes > MAX_FILE_BYTES:
        raise StoreError(
            f"{source}: {size_bytes} bytes, expected at most {MAX_FILE_BYTES >> 20} MiB; store fewer samples "
            "(--benchmark-max-time, or without --benchmark-save-data)"
        )


def _read_url(url: str) -> bytes:
    files, path = open_filesystem(url)
    with _name_url_in_errors(url):
        refuse_large(url, int(files.info(path).get("size") or 0))
        data: bytes = files.cat_file(path)
        return data


class _name_url_in_errors:  # noqa: N801 - reads as a statement
    """Convert errors of a remote file system into a StoreError that names the URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FileExistsError | StoreError | UsageError) or not isinstance(error, Exception):
            return
        raise read_error(self.url, error) from error


def read_error(source: str, error: Exception) -> StoreError:
    """The StoreError for a file that cannot be read."""
    path = Path(source)
    if isinstance(error, IsADirectoryError):
        problem = "is a folder, expected a file"
    elif isinstance(error, FileNotFoundError):
        dangling = not is_url(source) and path.is_symlink()
        problem = f"is a symlink to {path.readlink()}, which does not exist" if dangling else "does not exist"
    elif isinstance(error, PermissionError):
        problem = "may not be read (no permission)"
    else:
        problem = f"cannot be read ({type(error).__name__}: {getattr(error, 'strerror', None) or error})"
    return StoreError(f"{source}: {problem}")


def _stamp(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat()
    except OSError:
        return "unreadable"  # a dangling link is listed here, and reported when it is read
    return f"{facts.st_size}:{facts.st_mtime_ns}"


def _remote_stamp(entry: Mapping[str, Any]) -> str:
    changed = next(
        (entry[key] for key in ("ETag", "etag", "mtime", "LastModified", "created") if entry.get(key)), ""
    )
    return f"{entry.get('size')}:{changed}"
