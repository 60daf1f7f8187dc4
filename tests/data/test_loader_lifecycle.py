"""Loaders in unusual use: left early, forked, pickled, interrupted, killed, iterated twice at once."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from perfsuite.data.loader import Loader
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

ENGINES = ["threads", "processes", "subprocess"]
WITH_PROCESSES = ["processes", "subprocess"]


def fresh(folder: Path | FileSource, engine: str, workers: int = 2, **overrides: Any) -> Loaders:
    data: Any = folder if isinstance(folder, Path) else dict.fromkeys(SPLITS, folder)
    options: dict[str, Any] = {"image_size": 32, "engine": engine, "start_method": "fork"} | overrides
    return make_loaders(data, 8, workers, **options)


def epoch(loader: Loader) -> list[torch.Tensor]:
    return [images.clone() for images, _ in loader]


def are_same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))


def workers_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [process for process in children if "resource_tracker" not in " ".join(process.cmdline())]


@pytest.mark.parametrize("engine", [*ENGINES, "auto", "inline"])
def test_a_used_loader_can_be_pickled_and_continues_where_it_was(folder: Path, engine: str) -> None:
    loaders = fresh(folder, "auto" if engine == "inline" else engine, 0 if engine == "inline" else 2)
    epoch(loaders.train)
    sent = pickle.loads(pickle.dumps(loaders))  # noqa: S301 - our own
    try:
        assert sent.train.state_dict() == loaders.train.state_dict()
        assert are_same(epoch(sent.train), epoch(loaders.train))
    finally:
        loaders.close()
        sent.close()


@pytest.mark.parametrize("engine", WITH_PROCESSES)
def test_a_new_iteration_invalidates_the_one_before(folder: Path, engine: str) -> None:
    loaders = fresh(folder, engine)
    try:
        older = iter(loaders.train)  # still referenced, as by a traceback
        next(older)
        assert len(epoch(loaders.train)) == len(loaders.train)
        with pytest.raises(RuntimeError, match="another iteration has begun over the same workers"):
            next(older)
        assert len(epoch(loaders.train)) == len(loaders.train)
    finally:
        loaders.close()


def test_an_older_iteration_does_not_change_the_position_of_a_newer_one(folder: Path) -> None:
    loader = fresh(folder, "threads").train
    older = iter(loader)
    next(older)
    newer = iter(loader)
    next(newer)
    list(older)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batches_given"]) == (1, 1)
    list(newer)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batches_given"]) == (2, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_early_exits_do_not_change_later_epochs(folder: Path, engine: str) -> None:
    loaders = fresh(folder, engine)
    try:
        for _ in range(3):
            for _ in loaders.train:
                break
        expected = fresh(folder, "threads", 0).train
        expected.set_epoch(3)
        assert are_same(epoch(loaders.train), epoch(expected))
    finally:
        loaders.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("leaving", ["closed", "dropped", "dropped early"])
def test_discarded_loaders_leave_no_thread_process_or_file(folder: Path, engine: str, leaving: str) -> None:
    def use() -> None:
        loaders = fresh(folder, engine)
        for _ in loaders.train:
            if leaving == "dropped early":
                break
        if leaving == "closed":
            loaders.close()

    threads = threading.active_count()
    use()
    before = wait_for_resources(threads)
    assert before[0] <= threads
    for _ in range(3):
        use()
    now = wait_for_resources(*before)
    assert all(each <= earlier for each, earlier in zip(now, before, strict=True)), (now, before)


def wait_for_resources(*most: int) -> tuple[int, ...]:
    """Threads, files and workers of this process. Those of a discarded loader end a little later."""
    deadline = time.monotonic() + 10
    while True:
        gc.collect()
        counts = (threading.active_count(), psutil.Process().num_fds(), len(workers_of(os.getpid())))
        are_few = all(count <= limit for count, limit in zip(counts, most, strict=False))
        if are_few or time.monotonic() > deadline:
            return counts
        time.sleep(0.01)


class BrokenSource(FileSource):
    def read(self, row: int) -> bytes:
        raise KeyError("in the source's own code")


class UnpicklableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"needs {one} and {two}")


class UnpicklablyBrokenSource(FileSource):
    def read(self, row: int) -> bytes:
        raise UnpicklableError(1, 2)


def source_of_class(kind: type[FileSource], folder: Path) -> FileSource:
    completed = image_folder(folder)
    return kind(completed.root, completed.names, completed.labels, completed.class_names)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_a_source_keeps_its_type_and_names_its_file(folder: Path, engine: str) -> None:
    loaders = fresh(source_of_class(BrokenSource, folder), engine)
    try:
        with pytest.raises(KeyError) as raised:
            epoch(loaders.train)
    finally:
        loaders.close()
    text = f"{raised.value}{raised.value.__cause__}{[str(entry) for entry in raised.traceback]}"
    assert "in read" in text or "read(self, row" in text or ".read" in text
    assert Path(__file__).name in text


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_that_cannot_be_pickled_keeps_its_class_and_message(folder: Path, engine: str) -> None:
    loaders = fresh(source_of_class(UnpicklablyBrokenSource, folder), engine)
    try:
        with pytest.raises(UnpicklableError, match=r"^needs 1 and 2$") as raised:
            epoch(loaders.train)
    finally:
        loaders.close()
    assert Path(__file__).name in f"{raised.value.__cause__}{[str(entry) for entry in raised.traceback]}"


def _kill_workers(loader: Loader) -> None:
    batches = iter(loader)
    next(batches)
    for worker in workers_of(os.getpid()):
        worker.kill()
    list(batches)


@pytest.mark.parametrize("engine", WITH_PROCESSES)
def test_after_a_killed_worker_the_next_iteration_starts_new_ones(folder: Path, engine: str) -> None:
    loaders = make_loaders(folder, 1, 1, image_size=32, engine=engine, start_method="fork")
    try:
        with pytest.raises(DataError, match=r"loader: a worker process was killed by signal 9 \(SIGKILL\)"):
            _kill_workers(loaders.train)
        assert len(epoch(loaders.train)) == len(loaders.train)
    finally:
        loaders.close()


UNGUARDED = """
import sys
from perfsuite.data.loaders import make_loaders

loaders = make_loaders(sys.argv[1], 8, 1, image_size=32, engine=sys.argv[2], start_method="spawn")
print(len(list(loaders.train)))
"""


@pytest.mark.parametrize("engine", WITH_PROCESSES)
def test_the_error_for_an_unguarded_script_names_the_guard(folder: Path, tmp_path: Path, engine: str) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(folder), engine]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert completed.returncode == 1
    text = completed.stderr.splitlines()[-1]
    assert text.startswith("perfsuite.errors.DataError: loader: ")
    assert "outside of `if __name__ == '__main__':`" in text


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_that_are_not_persistent_end_with_their_epoch(folder: Path, engine: str) -> None:
    for persistent, left in ((True, engine != "threads"), (False, False)):
        loaders = fresh(folder, engine, persistent_workers=persistent)
        try:
            first = epoch(loaders.train)
            assert bool(workers_of(os.getpid())) == left
            for _ in loaders.train:
                break
            assert bool(workers_of(os.getpid())) == left
            loaders.train.set_epoch(0)
            assert are_same(epoch(loaders.train), first)
        finally:
            loaders.close()


def exit_code_of_fork(work: Any, seconds: float = 20) -> int:
    """The exit code of `work` in a forked child; -9 if it did not end in time."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(work())
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forked_child_uses_its_own_workers_and_does_not_stop_the_callers(folder: Path, engine: str) -> None:
    loaders = fresh(folder, engine)
    try:
        expected = epoch(loaders.train)
        loaders.train.set_epoch(0)

        def child() -> int:
            same = are_same(epoch(loaders.train), expected)
            loaders.close()
            return 0 if same else 3

        assert exit_code_of_fork(child) == 0
        assert are_same(epoch(loaders.train), expected)
    finally:
        loaders.close()


LOADING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background processes ignore it
from perfsuite.data.loaders import make_loaders
loader = make_loaders(sys.argv[1], 8, 2, image_size=32, engine=sys.argv[2], start_method="fork").train
list(loader)
try:
    print("loaded", flush=True)  # within, because the interrupt may follow at once
    time.sleep(60)
except KeyboardInterrupt:
    print("again", len(list(loader)), flush=True)
"""


@pytest.fixture
def loading(folder: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A separate process that has loaded an epoch and has workers."""
    command = [sys.executable, "-c", LOADING, str(folder), request.param]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        yield process
        process.kill()


@pytest.mark.parametrize("loading", WITH_PROCESSES, indirect=True)
def test_workers_survive_a_ctrl_c_that_the_caller_handles(loading: subprocess.Popen[str]) -> None:
    os.killpg(loading.pid, signal.SIGINT)  # to the whole group, as a terminal does
    text, errors = loading.communicate(timeout=60)
    assert text == "again 4\n"
    assert errors == ""


@pytest.mark.parametrize("loading", WITH_PROCESSES, indirect=True)
def test_workers_of_a_killed_caller_end(loading: subprocess.Popen[str]) -> None:
    workers = workers_of(loading.pid)
    assert workers
    loading.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)  # torch's workers check their caller every few seconds
    assert not alive


def test_too_few_images_for_a_whole_batch_are_an_error(folder: Path) -> None:
    with pytest.raises(ValueError, match="batch_size: 64, expected one that 32 images over 1 ranks can fill"):
        make_loaders(folder, 64, 0, image_size=32, drop_last=True)
    assert [len(images) for images, _ in make_loaders(folder, 64, 0, image_size=32).train] == [32]


def test_nothing_is_pinned_without_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for engine in ENGINES:
        loaders = fresh(folder, engine, pin_memory=True)
        try:
            assert not any(images.is_pinned() for images in epoch(loaders.train))
        finally:
            loaders.close()


@pytest.mark.gpu
@pytest.mark.parametrize("engine", ENGINES)
def test_batches_for_a_gpu_are_pinned(folder: Path, engine: str) -> None:
    loaders = fresh(folder, engine, pin_memory=True)
    try:
        for images, labels in loaders.train:
            assert images.is_pinned()
            assert labels.is_pinned()
    finally:
        loaders.close()
