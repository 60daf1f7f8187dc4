"""Files that are there whole or not at all, whoever else writes and whenever the power goes."""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfsuite.errors import StoreError

TEMPORARY_PREFIX = ".tmp-"
STALE_AFTER_SECONDS = 3600.0


def create(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet; FileExistsError if it does, and then it is untouched."""
    with _temporary_beside(path, data) as temporary:
        try:
            os.link(temporary, path)  # unlike a rename, a link never overwrites
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV):
                raise
            _create_without_links(temporary, path)


def replace(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a file in place of the one that may be there; readers see the old one or the new one.

    What can be made again need not be `durable`: after a power failure it may be torn.
    """
    with _temporary_beside(path, data, durable) as temporary:
        temporary.replace(path)


def remove_stale(folder: Path) -> None:
    """Remove what writers that were killed left behind; a living writer is never that old."""
    oldest = time.time() - STALE_AFTER_SECONDS
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_mtime < oldest:
                path.unlink()


@contextmanager
def _temporary_beside(path: Path, data: bytes, durable: bool = True) -> Iterator[Path]:
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        _write(temporary, data, durable)
        yield temporary
        if durable:
            _fsync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        with suppress(OSError):  # there is nothing where it was renamed, or could not be written
            temporary.unlink()


def _write(path: Path, data: bytes, durable: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(handle)


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


def _write_error(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreError(
            f"{path}: no room to write it ({error.strerror}), nothing was stored; "
            "free some space or save elsewhere"
        )
    return StoreError(f"{path}: cannot be written ({error.strerror or error}); nothing was stored")
