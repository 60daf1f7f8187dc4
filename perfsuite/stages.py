"""Stages and events of a workload: running code announces them, measuring code listens.

Without a listener an announcement costs next to nothing, and the running code needs no clock.

>>> events = []
>>> class Recorder:
...     def begin(self, stage): events.append(f"{stage} begins")
...     def end(self, stage): events.append(f"{stage} ends")
>>> with listen_to_stages(Recorder()), stage("decode"):
...     pass
>>> events
['decode begins', 'decode ends']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, TypeVar

T = TypeVar("T")

STEP_STAGES = ("transfer", "forward", "backward", "optimize")  # of a training step; the others are loading's


class StageListener(Protocol):
    """Receives every stage and event of this process, in the thread where it happens."""

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str) -> None: ...

    def count_event(self, event: str, count: int) -> None: ...


_active_listener: StageListener | None = None


class stage:  # noqa: N801 - reads as a statement: `with stage("decode"):`
    """Announce that the block is a stage of the workload.

    Names in use: read, decode, resize, augment, normalize, collate, transfer, forward, backward, optimize.
    """

    __slots__ = ("_listener", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._listener: StageListener | None = None

    def __enter__(self) -> None:
        if _active_listener is not None:
            self._listener = _active_listener
            _active_listener.begin(self.name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.end(self.name)
            self._listener = None


def iterate_in_stage(name: str, items: Iterable[T]) -> Iterator[T]:
    """Iterate, with each wait for the next item as a stage: `for batch in iterate_in_stage("load", loader)`.

    >>> list(iterate_in_stage("load", [1, 2]))
    [1, 2]
    """
    iterator = iter(items)
    while True:
        with stage(name):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def count_event(event: str, count: int = 1) -> None:
    """Announce events to count: `count_event("decoded_images", len(batch))`.

    A count of 0 announces that an event could have happened, so that a limit on it has a value to judge.
    """
    if _active_listener is not None:
        _active_listener.count_event(event, count)


@contextmanager
def listen_to_stages(listener: StageListener) -> Iterator[None]:
    """Send every stage and event of this process to `listener` while the block runs."""
    global _active_listener
    before, _active_listener = _active_listener, listener
    try:
        yield
    finally:
        _active_listener = before
