"""Where the running code is: "decode begins", "decode ends". Nobody need listen, and then it costs nothing.

What runs announces its stages and knows nothing of clocks; what measures listens.

>>> heard = []
>>> class StageListener:
...     def begin(self, stage): heard.append(f"{stage} begins")
...     def end(self, stage): heard.append(f"{stage} ends")
>>> with listen_to_stages(StageListener()), stage("decode"):
...     pass
>>> heard
['decode begins', 'decode ends']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, TypeVar

T = TypeVar("T")


class StageListener(Protocol):
    """Told of every stage of this process, from whichever thread it runs in."""

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str) -> None: ...

    def count_event(self, what: str, count: int) -> None: ...


_active_listener: StageListener | None = None


class stage:  # noqa: N801 - reads as a statement: `with stage("decode"):`
    """Name the part of a workload that the block is.

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
    """Name the waiting for every next item: `for batch in each("load", loader)`.

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


def count_event(what: str, count: int = 1) -> None:
    """Say that something countable happened: `count_event("decoded_images", len(batch))`."""
    if _active_listener is not None:
        _active_listener.count_event(what, count)


@contextmanager
def listen_to_stages(listener: StageListener) -> Iterator[None]:
    """Tell `listener` of every stage in this process while the block runs."""
    global _active_listener
    before, _active_listener = _active_listener, listener
    try:
        yield
    finally:
        _active_listener = before
