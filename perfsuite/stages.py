"""Where the running code is: "decode begins", "decode ends". Nobody need listen, and then it costs nothing.

What runs announces its stages and knows nothing of clocks; what measures listens.

>>> heard = []
>>> class Listener:
...     def begin(self, stage): heard.append(f"{stage} begins")
...     def end(self, stage): heard.append(f"{stage} ends")
>>> with listening(Listener()), stage("decode"):
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


class Listener(Protocol):
    """Told of every stage of this process, from whichever thread it runs in."""

    def begin(self, stage: str) -> None: ...

    def end(self, stage: str) -> None: ...

    def tell(self, what: str, count: int) -> None: ...


_listener: Listener | None = None


class stage:  # noqa: N801 - reads as a statement: `with stage("decode"):`
    """Name the part of a workload that the block is.

    Names in use: read, decode, resize, augment, normalise, collate, transfer, forward, backward, optimise.
    """

    __slots__ = ("_heard_by", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._heard_by: Listener | None = None

    def __enter__(self) -> None:
        if _listener is not None:
            self._heard_by = _listener
            _listener.begin(self.name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heard_by is not None:
            self._heard_by.end(self.name)
            self._heard_by = None


def each(name: str, items: Iterable[T]) -> Iterator[T]:
    """Name the waiting for every next item: `for batch in each("load", loader)`.

    >>> list(each("load", [1, 2]))
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


def tell(what: str, count: int = 1) -> None:
    """Say that something countable happened: `tell("decoded_images", len(batch))`."""
    if _listener is not None:
        _listener.tell(what, count)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every stage in this process while the block runs."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
