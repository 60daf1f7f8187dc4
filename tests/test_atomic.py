"""Atomic writes: a file is complete or absent on full disks, without hard links and after killed writers."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
import uuid
from pathlib import Path

import pytest

from perfsuite import atomic
from perfsuite.errors import StoreError
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


def test_creating_leaves_an_existing_file_unchanged(tmp_path: Path) -> None:
    atomic.create(tmp_path / "a.json", b"first")
    with pytest.raises(FileExistsError):
        atomic.create(tmp_path / "a.json", b"second")
    assert (tmp_path / "a.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_no_file_and_is_reported(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(tmp_path)
    store.save(a_run("before"), {})
    before = {path.name for path in tmp_path.iterdir()}

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreError, match="nothing was stored") as raised:
        store.save(a_run("main"), {})
    assert ("no room" in str(raised.value)) == (number != errno.EIO)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert store.load("before") == a_run("before")


def test_a_file_size_limit_of_the_kernel_is_reported(tmp_path: Path) -> None:
    """A child process sets the limit of 1 KB, so that this process keeps its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            RunStore(tmp_path).save(a_run("main", seconds={f"test_{n}": 0.1 for n in range(100)}), {})
        except StoreError as error:
            code = 0 if "no room" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    store = RunStore(tmp_path)
    assert [store.save(a_run(commit=commit), {}) for commit in "abc"] == [
        "0001_main",
        "0002_main",
        "0003_main",
    ]
    with pytest.raises(FileExistsError):
        atomic.create(tmp_path / "0001_main.json", b"")
    assert store.load("0001").commit == "a"


def test_only_old_temporary_files_are_removed(tmp_path: Path) -> None:
    old, young = tmp_path / ".tmp-old", tmp_path / ".tmp-young"
    old.write_bytes(b"")
    young.write_bytes(b"")
    long_ago = time.time() - 2 * atomic.STALE_AFTER_SECONDS
    os.utime(old, (long_ago, long_ago))
    RunStore(tmp_path).save(a_run(), {})
    assert not old.exists()
    assert young.exists()


def test_a_temporary_file_is_not_listed_as_a_run(tmp_path: Path) -> None:
    (tmp_path / ".tmp-half").write_bytes(b"{")
    (tmp_path / ".tmp-half.json").write_bytes(b"{")
    assert RunStore(tmp_path).list() == []


def test_a_store_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match="runs"):
        RunStore(tmp_path / "runs").save(a_run(), {})


def _write_half(path: Path) -> None:
    with atomic.open_replacing(path) as file:
        file.write(b"half")
        raise RuntimeError("planted")


def test_a_stream_that_fails_leaves_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    with atomic.open_replacing(path) as file:
        file.write(b"whole")
    with pytest.raises(RuntimeError, match="planted"):
        _write_half(path)
    assert path.read_bytes() == b"whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["b.bin"]


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_write_syncs_the_file_and_its_folder(
    durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with atomic.open_replacing(tmp_path / "a.bin", durable) as file:
        file.write(b"content")
    assert len(synced) == (2 if durable else 0)


def test_a_temporary_file_never_follows_or_overwrites_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=0))
    taken = tmp_path / f"{atomic.TEMPORARY_PREFIX}{uuid.UUID(int=0).hex}"
    taken.symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError), atomic.open_replacing(tmp_path / "a.bin"):
        pytest.fail("it was opened")
    assert taken.is_symlink()
    assert not (tmp_path / "target").exists()


def test_a_parent_that_is_a_file_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError), atomic.open_replacing(tmp_path / "file" / "a.bin"):
        pytest.fail("it was opened")
