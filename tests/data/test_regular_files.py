"""Only regular files of bounded size are read: no FIFO, no socket, no device, no name with a NUL."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfsuite.data import image_file
from perfsuite.data.image_file import read_file
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.file_index import PackedStrings
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.remote import remote_folder
from perfsuite.data.sources.shards import read_shards, write_shards
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

ENGINES = [("threads", 0), ("threads", 2), ("processes", 1), ("subprocess", 1), ("device", 1)]


def loader_of(source: ImageSource, engine: str, workers: int, on_error: str, **more: Any) -> Loader:
    options: dict[str, Any] = {"engine": engine, "on_error": on_error, "start_method": "fork"}
    return make_loaders(dict.fromkeys(SPLITS, source), 8, workers, image_size=32, **(options | more)).val


def count_images(loader: Loader) -> int:
    try:
        return sum(len(labels) for _, labels in loader)
    finally:
        loader.close()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's address has at most 108 bytes
        try:
            bound.bind(path.name)
        finally:
            os.chdir(before)


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 30 << 30)  # sparse: it uses no disk space


SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (fifo, "expected a regular file"),
    "socket": (unix_socket, "No such device or address"),
    "device": (device, "expected a regular file"),
    "huge": (huge, "a file of 32,212,254,720 bytes, expected at most 1,073,741,824"),
}


@pytest.fixture
def special_files(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """Eight images and the special files. A writer opens the FIFO after a minute, so that no test hangs."""
    (tmp_path / "c").mkdir()
    for name, (make, _) in SPECIAL.items():
        make(tmp_path / "c" / f"{name}.jpg")
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))[:8]):
        (tmp_path / "c" / f"{number}.jpg").write_bytes(path.read_bytes())
    done = threading.Event()

    def release() -> None:
        while not done.wait(60):
            with suppress(OSError):
                os.close(os.open(tmp_path / "c" / "fifo.jpg", os.O_WRONLY | os.O_NONBLOCK))

    releasing = threading.Thread(target=release)
    releasing.start()
    yield tmp_path
    done.set()
    releasing.join()


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_only_regular_files_of_bounded_size_are_read(special_files: Path, engine: str, workers: int) -> None:
    loader = loader_of(image_folder(special_files), engine, workers, "skip")
    assert count_images(loader) == 8
    assert {Path(name).stem for name in loader.faults.reasons} == set(SPECIAL)
    for name, reason in loader.faults.reasons.items():
        assert SPECIAL[Path(name).stem][1] in reason


def test_a_file_url_is_read_like_a_folder(special_files: Path) -> None:
    loader = loader_of(remote_folder(special_files.as_uri()), "threads", 0, "skip")
    assert count_images(loader) == 8
    assert {Path(name).stem for name in loader.faults.reasons} == set(SPECIAL)


def test_a_remote_file_that_is_too_large_is_not_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    good = next(folder.rglob("*.jpg")).read_bytes()
    system.pipe_file("/sized/c/good.jpg", good)
    system.pipe_file("/sized/c/large.jpg", good + bytes(5000))
    monkeypatch.setattr(image_file, "MAX_FILE_BYTES", len(good) + 4999)
    loader = loader_of(remote_folder("memory://sized"), "threads", 0, "skip")
    assert count_images(loader) == 1
    assert list(loader.faults.reasons) == ["memory://sized/c/large.jpg"]
    assert "expected at most" in str(loader.faults)


@pytest.mark.parametrize(("engine", "workers"), ENGINES)
@pytest.mark.parametrize("cache", [None, "disk"])
def test_a_nul_in_a_name_is_a_fault_of_that_image(
    folder: Path,
    tmp_path: Path,
    engine: str,
    workers: int,
    cache: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    good = next(folder.rglob("*.jpg")).relative_to(folder)
    names = PackedStrings.from_strings([str(good), "a\0b.jpg"])
    files = FileSource(str(folder), names, np.array([1, 1], np.int32), ("a", "b"))
    loader = loader_of(files, engine, workers, "skip", cache=cache)
    assert count_images(loader) == 1
    assert list(loader.faults.reasons) == ["a\0b.jpg"]
    with pytest.raises(DataError, match="not a valid file name"):
        count_images(loader_of(files, engine, workers, "raise", cache=cache))


def test_writing_shards_names_the_image_that_cannot_be_read(special_files: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"c/device.jpg: a FIFO, a socket or a device, .*not written"):
        write_shards(image_folder(special_files), tmp_path / "shards")
    assert not list((tmp_path / "shards").glob("*.tar"))


def test_a_shard_is_a_regular_file_and_its_images_are_of_bounded_size(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(image_folder(folder), tmp_path)
    shards = read_shards(tmp_path)
    monkeypatch.setattr(image_file, "MAX_FILE_BYTES", int(shards.size.max()) - 1)
    loader = loader_of(shards, "threads", 0, "skip")
    assert 0 < loader_of(shards, "threads", 0, "skip").samples - count_images(loader) < 40
    assert "expected at most" in str(loader.faults)
    os.mkfifo(tmp_path / "shard-000001.tar")
    with pytest.raises(OSError, match="expected a regular file"):
        read_shards(tmp_path)


def test_a_growing_file_is_read_up_to_its_size_at_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pread = tmp_path / "x", os.pread
    path.write_bytes(b"12345678")

    def growing(descriptor: int, length: int, offset: int) -> bytes:
        with path.open("ab") as more:
            more.write(b"9")
        return pread(descriptor, min(length, 3), offset)  # as from some network file systems

    monkeypatch.setattr(os, "pread", growing)
    assert read_file(path) == b"12345678"
    assert read_file(path, 2, 4) == b"3456"
