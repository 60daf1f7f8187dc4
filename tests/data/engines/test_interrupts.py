"""Ctrl-C at any moment, and a fork in mid-epoch: the next epoch is complete, and no process remains."""

from __future__ import annotations

import multiprocessing.util
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from perfsuite.advise.time_limit import TimeIsUpError, TimeLimit, interrupt_when_over
from perfsuite.data.engines.worker_process import WorkerProcess
from perfsuite.data.loader import Loader
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.errors import DataError
from perfsuite.signals import sigterm_as_keyboard_interrupt
from tests.data.engines.lossy_engine import LossyEngine
from tests.data.engines.misbehaving import BATCH_SIZE, Outcome, loader_of, run_epoch

IMAGES = 16
ENGINES = ["threads", "processes", "subprocess"]
# All engines, and two of them behind the thread that copies batches to a device.
ALL = [*ENGINES, "inline", "device", "auto", "threads copied", "processes copied"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    folder = tmp_path_factory.mktemp("few") / "p"
    return image_folder(dataset.make_dataset(folder, images=IMAGES, classes=2, size=(64, 48)))


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    ]


@contextmanager
def interrupt_after(seconds: float) -> Iterator[None]:
    """Send SIGINT to this process after a time; wait for it at the end, if the block was faster."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
        timer.join()
    finally:
        timer.join()


def interrupt_epochs(files: FileSource, engine: str, times: int, seed: int) -> int:
    """Interrupt epochs, start-up included, at random moments; return how many an interrupt ended."""
    rng = random.Random(seed)
    interrupted = 0
    is_inline = engine == "inline"
    loader = loader_of(files, "threads" if is_inline else engine, 0 if is_inline else 2, "raise")
    try:
        for number in range(times):
            if number % 4 == 0:
                loader.close()  # the next interrupt may come while workers start
            try:
                with interrupt_after(rng.uniform(0, 0.3)):
                    while True:
                        run_batches(loader)
            except KeyboardInterrupt:
                interrupted += 1
            assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()
    assert children() == []
    return interrupted


def run_batches(loader: Loader) -> None:
    for _ in loader:
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ALL)
def test_an_epoch_after_an_interrupt_is_complete(files: FileSource, engine: str) -> None:
    assert interrupt_epochs(files, engine, 6, seed=1) == 6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ALL)
def test_epochs_after_100_interrupts_are_complete(files: FileSource, engine: str) -> None:
    assert interrupt_epochs(files, engine, 100, seed=2) == 100


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_an_epoch_that_an_interrupt_cuts_is_found(
    files: FileSource, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control, as is the next test."""

    make_loader = loader_of

    def make_lossy_loader(*words: Any) -> Loader:
        loader = make_loader(*words)
        loader._engine = LossyEngine(loader._engine, cuts_later_epochs=True)
        return loader

    monkeypatch.setattr(sys.modules[__name__], "loader_of", make_lossy_loader)
    with pytest.raises(AssertionError, match=f"images: {IMAGES - BATCH_SIZE} != {IMAGES}"):
        interrupt_epochs(files, engine, 20, seed=1)


def test_a_worker_process_that_remains_is_found(files: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(WorkerProcess, "close", lambda worker, is_idle: None)
        with pytest.raises(AssertionError, match=r"== \[\]"):
            interrupt_epochs(files, "processes", 1, seed=1)
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


@pytest.mark.parametrize("engine", ["processes", "subprocess"])
def test_an_interrupt_in_the_middle_of_an_epoch_does_not_break_the_next_one(
    files: FileSource, engine: str
) -> None:
    loader = loader_of(files, engine, 2, "raise")
    try:
        batches = iter(loader)
        next(batches)
        # As if Ctrl-C came while the caller waits: the iteration is in its engine.
        with pytest.raises(KeyboardInterrupt), interrupting(loader):
            list(batches)
        for _ in range(2):
            assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()
    assert children() == []


def test_the_end_of_a_time_limit_while_worker_processes_are_ended_leaves_none(
    files: FileSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = loader_of(files, "processes", 2, "raise")
    run_batches(loader)
    end = WorkerProcess.close

    def end_when_time_is_up(worker: WorkerProcess, is_idle: bool) -> None:
        signal.raise_signal(signal.SIGALRM)
        end(worker, is_idle)

    monkeypatch.setattr(WorkerProcess, "close", end_when_time_is_up)
    with pytest.raises(TimeIsUpError), interrupt_when_over(TimeLimit.start(600.0)):
        loader.close()
    assert children() == []


def test_sigterm_ends_a_worker_process_that_was_forked_where_it_means_ctrl_c(files: FileSource) -> None:
    """multiprocessing sends it at exit, and then waits."""
    with sigterm_as_keyboard_interrupt():
        loader = loader_of(files, "processes", 2, "raise")
        run_batches(loader)
        workers = multiprocessing.active_children()
        for worker in workers:
            worker.terminate()
            worker.join(60)
        loader.close()
    assert [worker.exitcode for worker in workers] == [-signal.SIGTERM] * 2


@contextmanager
def interrupting(loader: Loader) -> Iterator[None]:
    """Raise KeyboardInterrupt where the engine waits for its workers."""
    from perfsuite.data.engines import process_pool

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_pool, "wait", interrupt)
        yield


class LateThread(threading.Thread):
    """Begins late; Ctrl-C comes while its starter waits for that."""

    def _bootstrap(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        super()._bootstrap()  # type: ignore[misc]


def interrupt_late_start(loader: Loader, thread_class: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thread_class, LateThread)
        with pytest.raises(KeyboardInterrupt):
            run_batches(loader)


def new_threads(name: str, before: Collection[threading.Thread]) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith(name) and each not in before]


def test_an_interrupt_while_a_worker_thread_starts_leaves_no_thread(files: FileSource) -> None:
    before, loader = threading.enumerate(), loader_of(files, "threads", 2, "raise")
    try:
        interrupt_late_start(loader, "threading.Thread")
        deadline = time.monotonic() + 10
        while remaining := new_threads("perfsuite-load", before):
            assert time.monotonic() < deadline, remaining
            time.sleep(0.01)
        assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()


def test_an_interrupt_while_the_copying_thread_starts_waits_for_its_end(files: FileSource) -> None:
    """It would take batches of the next epoch."""
    before, loader = threading.enumerate(), loader_of(files, "threads copied", 2, "raise")
    try:
        interrupt_late_start(loader, "perfsuite.data.engines.device_prefetch.Thread")
        assert new_threads("perfsuite-copy", before) == []
        assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ["processes", "subprocess"])
def test_a_forked_child_that_ends_in_order_leaves_the_workers_of_its_parent(
    files: FileSource, engine: str
) -> None:
    loader = loader_of(files, engine, 2, "raise")
    try:
        run_batches(loader)
        before = {child.pid for child in children()}

        def end_as_python_does() -> int:
            multiprocessing.util._exit_function()  # type: ignore[attr-defined]
            return 0

        assert exit_code_of_child(end_as_python_does) == 0
        assert run_epoch(loader) == Outcome("", "", IMAGES)
        assert {child.pid for child in children()} == before
    finally:
        loader.close()


def exit_code_of_child(work: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        code = 99
        with suppress(BaseException):
            signal.alarm(60)  # a hang ends the child
            code = work()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_child_forked_in_mid_epoch_is_refused_and_may_begin_anew(files: FileSource, engine: str) -> None:
    loader = loader_of(files, engine, 2, "raise")
    try:
        batches = iter(loader)
        next(batches)

        def iterate_on() -> int:
            try:
                list(batches)
            except DataError as error:
                return 10 if f"began in process {os.getppid()}" in str(error) else 11
            return 12

        def iterate_anew() -> int:
            complete = run_epoch(loader) == Outcome("", "", IMAGES)
            loader.close()
            return 20 if complete else 21

        assert exit_code_of_child(iterate_on) == 10
        assert exit_code_of_child(iterate_anew) == 20
        # The caller's own iteration lost nothing to the children.
        assert sum(len(images) for images, _ in batches) == IMAGES - BATCH_SIZE
        assert run_epoch(loader) == Outcome("", "", IMAGES)
    finally:
        loader.close()
    assert children() == []
