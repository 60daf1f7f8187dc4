"""Atomic writes: a file appears complete or not at all, even with other writers or a power failure.

Every write goes to a temporary file in the target's folder, which is renamed when it is complete.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from perfsuite.errors import StoreError

TEMPORARY_PREFIX = ".tmp-"
STALE_AFTER_SECONDS = 3600.0


def create(path: Path, data: bytes) -> None:
    """Write a new file. An existing one is left unchanged and raises FileExistsError."""
    with _store_errors(path), _temporary_file(path) as (temporary, file):
        file.write(data)
        _finish(file)
        try:
            os.link(temporary, path)  # unlike a rename, a link never overwrites
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV):
                raise
            _create_without_links(temporary, path)
        _fsync_folder(path.parent)


def replace(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file, replacing an existing one; a reader gets either the old content or the new.

    Without `durable` nothing is fsynced: a power failure may leave a torn file. Use that for files that can
    be made again.
    """
    with _store_errors(path), open_replacing(path, durable) as file:
        file.write(data)


@contextmanager
def open_replacing(path: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a stream whose content replaces `path` when the block ends without an error.

    If the block raises, `path` is unchanged and the temporary file is removed. Errors of the file system are
    raised as OSError.
    """
    with _temporary_file(path) as (temporary, file):
        yield file
        _finish(file, durable)
        temporary.replace(path)
        if durable:
            _fsync_folder(path.parent)


def remove_stale(folder: Path) -> None:
    """Remove temporary files of killed writers: those older than `STALE_AFTER_SECONDS`."""
    oldest = time.time() - STALE_AFTER_SECONDS
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                path.unlink()


@contextmanager
def _temporary_file(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a new file beside `path`; remove it at the end, if it was not renamed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file has the folder's name; `path` itself does not exist
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from error
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(temporary, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            yield temporary, file
    finally:
        with suppress(OSError):  # it was renamed
            temporary.unlink()


def _finish(file: IO[bytes], durable: bool = True) -> None:
    file.flush()
    if durable:
        os.fsync(file.fileno())


@contextmanager
def _store_errors(path: Path) -> Iterator[None]:
    """Turn errors of the file system into a StoreError, except FileExistsError."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreError(
                f"{path}: no room to write it ({error.strerror}), nothing was stored; "
                "free some space or save elsewhere"
            ) from error
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); nothing was stored"
        ) from error


def _create_without_links(temporary: Path, path: Path) -> None:
    # The file system has no hard links: a lock file keeps two writers of one name apart.
    lock = path.parent / f"{TEMPORARY_PREFIX}lock-{path.name}"
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o644))
    try:
        if path.exists() or path.is_symlink():
            raise FileExistsError(path)
        temporary.rename(path)
    finally:
        lock.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
