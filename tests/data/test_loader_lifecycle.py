"""Loaders beside the plain epoch: left early, forked, sent, interrupted, killed, asked twice."""

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
from perfsuite.data.sources.files import SPLITS, FileSource, Subset, image_folder
from perfsuite.errors import DataError

ENGINES = ["threads", "processes", "subprocess"]
WITH_PROCESSES = ["processes", "subprocess"]


def fresh(folder: Path | FileSource, engine: str, workers: int = 2, **more: Any) -> Loaders:
    data: Any = folder if isinstance(folder, Path) else dict.fromkeys(SPLITS, folder)
    options = {"image_size": 32, "engine": engine, "start_method": "fork"} | more
    return make_loaders(data, 8, workers, **options)


def epoch(loader: Loader) -> list[torch.Tensor]:
    return [images.clone() for images, _ in loader]


def are_same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))


def workers_of(pid: int) -> list[psutil.Process]:
    every = psutil.Process(pid).children(recursive=True)
    return [process for process in every if "resource_tracker" not in " ".join(process.cmdline())]


@pytest.mark.parametrize("engine", [*ENGINES, "auto", "inline"])
def test_a_loader_that_was_used_can_be_sent_and_goes_on_where_it_was(folder: Path, engine: str) -> None:
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
def test_a_new_iteration_ends_the_one_before_which_says_so(folder: Path, engine: str) -> None:
    loaders = fresh(folder, engine)
    try:
        held = iter(loaders.train)  # as a traceback holds it
        next(held)
        assert len(epoch(loaders.train)) == len(loaders.train)
        with pytest.raises(RuntimeError, match="another iteration has begun over the same workers"):
            next(held)
        assert len(epoch(loaders.train)) == len(loaders.train)
    finally:
        loaders.close()


def test_an_older_iteration_does_not_move_the_epoch_of_the_newer(folder: Path) -> None:
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
def test_leaving_early_leaves_nothing_under_way(folder: Path, engine: str) -> None:
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
def test_loaders_that_are_gone_leave_no_thread_no_process_and_no_file(
    folder: Path, engine: str, leaving: str
) -> None:
    def use() -> None:
        loaders = fresh(folder, engine)
        for _ in loaders.train:
            if leaving == "dropped early":
                break
        if leaving == "closed":
            loaders.close()

    threads = threading.active_count()

    def held() -> tuple[int, int, int]:
        gc.collect()
        until = time.monotonic() + 10
        while threading.active_count() > threads and time.monotonic() < until:
            time.sleep(0.01)  # what is dropped ends by itself, a little later
        return threading.active_count(), psutil.Process().num_fds(), len(workers_of(os.getpid()))

    use()
    before = held()
    assert before[0] <= threads
    for _ in range(3):
        use()
    assert all(now <= then for now, then in zip(held(), before, strict=True))


class Broken(FileSource):
    def read(self, row: int) -> bytes:
        raise KeyError("in the user's own code")


class UnsendableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"needs {one} and {two}")


class BrokenUnsendably(FileSource):
    def read(self, row: int) -> bytes:
        raise UnsendableError(1, 2)


def as_kind(kind: type[FileSource], folder: Path) -> FileSource:
    found = image_folder(folder)
    return kind(found.root, found.names, found.labels, found.class_names)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_the_users_code_keeps_its_kind_and_says_where_it_was(folder: Path, engine: str) -> None:
    loaders = fresh(as_kind(Broken, folder), engine)
    try:
        with pytest.raises(KeyError) as raised:
            epoch(loaders.train)
    finally:
        loaders.close()
    told = f"{raised.value}{raised.value.__cause__}{[str(entry) for entry in raised.traceback]}"
    assert "in read" in told or "read(self, row" in told or ".read" in told
    assert Path(__file__).name in told


def test_an_error_that_cannot_be_sent_is_told_in_words(folder: Path) -> None:
    loaders = fresh(as_kind(BrokenUnsendably, folder), "subprocess")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)in read.*UnsendableError: needs 1 and 2"):
            epoch(loaders.train)
    finally:
        loaders.close()


def _kill_workers(loader: Loader) -> None:
    batches = iter(loader)
    next(batches)
    for worker in workers_of(os.getpid()):
        worker.kill()
    list(batches)


@pytest.mark.parametrize("engine", WITH_PROCESSES)
def test_after_a_killed_worker_the_next_iteration_starts_others(folder: Path, engine: str) -> None:
    loaders = make_loaders(folder, 1, 1, image_size=32, engine=engine, start_method="fork")
    try:
        # torch's signal handler may speak first, wherever the caller is when the worker dies.
        with pytest.raises((DataError, RuntimeError), match=r"loader: |killed by signal"):
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
def test_a_script_that_is_not_guarded_is_told_so(folder: Path, tmp_path: Path, engine: str) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, str(script), str(folder), engine]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 1
    told = found.stderr.splitlines()[-1]
    assert told.startswith("perfsuite.errors.DataError: loader: ")
    assert "outside of `if __name__ == '__main__':`" in told


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_that_do_not_live_on_end_with_their_epoch(folder: Path, engine: str) -> None:
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


def in_a_fork(work: Any, seconds: float = 20) -> int:
    """The exit code of `work` in a forked child; -9 where it did not end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(work())
        finally:
            os._exit(code)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forked_child_loads_by_workers_of_its_own_and_leaves_its_parents_alone(
    folder: Path, engine: str
) -> None:
    loaders = fresh(folder, engine)
    try:
        expected = epoch(loaders.train)
        loaders.train.set_epoch(0)

        def child() -> int:
            same = are_same(epoch(loaders.train), expected)
            loaders.close()
            return 0 if same else 3

        assert in_a_fork(child) == 0
        assert are_same(epoch(loaders.train), expected)
    finally:
        loaders.close()


LOADING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background has it ignore
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
    """A process of its own that has loaded an epoch and holds its workers."""
    command = [sys.executable, "-c", LOADING, str(folder), request.param]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        yield process
        process.kill()


@pytest.mark.parametrize("loading", WITH_PROCESSES, indirect=True)
def test_ctrl_c_that_the_caller_survives_leaves_its_workers_alive(loading: subprocess.Popen[str]) -> None:
    os.killpg(loading.pid, signal.SIGINT)  # as a terminal does: to all of them
    told, errors = loading.communicate(timeout=60)
    assert told == "again 4\n"
    assert errors == ""


@pytest.mark.parametrize("loading", WITH_PROCESSES, indirect=True)
def test_workers_of_a_caller_that_was_killed_end(loading: subprocess.Popen[str]) -> None:
    workers = workers_of(loading.pid)
    assert workers
    loading.kill()
    _, alive = psutil.wait_procs(workers, timeout=20)  # torch's look after their parent every few seconds
    assert not alive


def test_labels_of_a_part_are_gathered_once(folder: Path) -> None:
    whole = image_folder(folder)
    part = Subset(whole, torch.tensor([3, 1, 39]).numpy())
    assert part.labels.tolist() == whole.labels[[3, 1, 39]].tolist()
    assert part.labels is part.labels


def test_too_few_images_for_a_whole_batch_are_told(folder: Path) -> None:
    with pytest.raises(ValueError, match="batch_size: 64, and 32 images over 1 ranks do not fill one"):
        make_loaders(folder, 64, 0, image_size=32, drop_last=True)
    assert [len(images) for images, _ in make_loaders(folder, 64, 0, image_size=32).train] == [32]


def test_nothing_is_pinned_where_there_is_no_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
