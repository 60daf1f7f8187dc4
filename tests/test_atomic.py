"""A file is there whole or not at all: full disks, file systems without links, writers that were killed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from perfsuite import atomic
from perfsuite.errors import StoreError
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


def test_creating_leaves_what_is_there(tmp_path: Path) -> None:
    atomic.create(tmp_path / "a.json", b"first")
    with pytest.raises(FileExistsError):
        atomic.create(tmp_path / "a.json", b"second")
    assert (tmp_path / "a.json").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "link"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_nothing_and_says_so(
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


def test_a_disk_that_is_full_in_truth(tmp_path: Path) -> None:
    """The kernel refuses to let files grow beyond 1 KB, in a child so that nobody else suffers."""
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


def test_without_hard_links_nothing_is_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_only_old_leavings_are_swept(tmp_path: Path) -> None:
    old, young = tmp_path / ".tmp-old", tmp_path / ".tmp-young"
    old.write_bytes(b"")
    young.write_bytes(b"")
    long_ago = time.time() - 2 * atomic.STALE_AFTER_SECONDS
    os.utime(old, (long_ago, long_ago))
    RunStore(tmp_path).save(a_run(), {})
    assert not old.exists()
    assert young.exists()


def test_a_temporary_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / ".tmp-half").write_bytes(b"{")
    (tmp_path / ".tmp-half.json").write_bytes(b"{")
    assert RunStore(tmp_path).list() == []


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match="runs"):
        RunStore(tmp_path / "runs").save(a_run(), {})
