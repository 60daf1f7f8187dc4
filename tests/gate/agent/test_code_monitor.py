"""What the monitor of a recording collects of the code that runs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

import pytest

from perfsuite.gate.agent.recording.code_monitor import CodeMonitor
from perfsuite.gate.agent.recording.project_files import ProjectFiles

Collect = Callable[[], dict[int, CodeType]]


@pytest.fixture
def monitor() -> Iterator[CodeMonitor]:
    monitor = CodeMonitor(ProjectFiles(str(Path(__file__).parent)))
    before = sys.getprofile(), threading.getprofile()
    monitor.start()
    yield monitor
    monitor.stop()
    sys.setprofile(before[0])
    threading.setprofile(before[1])


@pytest.fixture
def collect(monitor: CodeMonitor) -> Collect:
    """Begin a collection; it ends with the next one."""

    def begin() -> dict[int, CodeType]:
        codes: dict[int, CodeType] = {}
        monitor.collect_into(codes, set())
        return codes

    return begin


def called() -> None:
    pass


def names(codes: dict[int, CodeType]) -> set[str]:
    return {code.co_name for code in codes.values()} & {"called", "suspended", "unfinished"}


def test_each_collection_has_what_ran_during_it(collect: Collect) -> None:
    first = collect()
    called()
    second = collect()
    thread = threading.Thread(target=called)
    thread.start()
    thread.join()
    collect()
    assert names(first) == {"called"}
    assert names(second) == {"called"}
    assert not names(collect())


def test_code_that_has_not_returned_is_collected(collect: Collect) -> None:
    def unfinished() -> None:
        assert not names(running)
        collect()

    def suspended() -> Iterator[None]:
        yield

    running = collect()
    iterator = suspended()
    next(iterator)
    unfinished()
    assert names(running) == {"unfinished", "suspended"}
    assert not names(collect())


def test_a_profile_function_that_was_put_aside_goes_on(monitor: CodeMonitor, collect: Collect) -> None:
    """As a debugger or pytest-benchmark does around a call."""
    codes = collect()
    profile = sys.getprofile()
    sys.setprofile(None)
    sys.setprofile(profile)
    called()
    assert monitor.is_running()
    collect()
    assert "called" in names(codes)


def test_another_profile_function_is_noticed_and_kept(monitor: CodeMonitor, collect: Collect) -> None:
    if sys.version_info >= (3, 12):
        pytest.skip("a profile function does not disturb sys.monitoring")
    codes = collect()

    def other(frame: object, event: str, argument: object) -> None:
        pass

    sys.setprofile(other)
    called()
    assert not monitor.is_running()
    collect()
    assert sys.getprofile() is other
    assert not names(codes)
