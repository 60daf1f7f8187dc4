"""Batches on a device: copied there by a stream of their own while the step before computes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import torch

from perfsuite.data.feed import Engine, OneAtATime, longest
from perfsuite.data.slots import Batch, Slot, Task, Wanted


class _Staged(NamedTuple):
    """A batch in a place on the device, and the event of its arrival there."""

    batch: Batch
    place: Slot
    arrived: Any


# A place to copy to, and the event after which it may be written; None ends the copying.
_Free = SimpleQueue[tuple[Slot, Any] | None]
_Arriving = SimpleQueue[_Staged | BaseException | None]


class OnDevice:
    """An engine whose batches lie on a device: pixels, labels and maps; what targets need stays on the host.

    The places they are copied to are used in turn and freed by nobody, so no stream reads what another has
    given away. A batch is the caller's until the next one is asked for; what the caller's stream has been
    told to do by then is waited for, on the device, before its place is written again.
    """

    def __init__(self, fed_by: Engine, wanted: Wanted, device: torch.device, ahead: int = 2) -> None:
        self._engine, self._wanted, self._device = fed_by, wanted, device
        self._ahead = max(1, ahead)
        self._places: list[Slot] = []
        self._stream: Any = None
        self._one = OneAtATime()

    @property
    def name(self) -> str:
        return self._engine.name

    def run(self, tasks: Sequence[Task]) -> Iterator[Batch]:
        return self._one.give(self._run(tasks))

    def _run(self, tasks: Sequence[Task]) -> Generator[Batch]:
        free: _Free = SimpleQueue()
        arriving: _Arriving = SimpleQueue()
        self._make_places(longest(tasks))
        for place in self._places:
            free.put((place, self._now()))
        copying = Thread(
            target=self._copy, args=(tasks, free, arriving), name="perfsuite-staging", daemon=True
        )
        copying.start()
        try:
            while (found := arriving.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                if found.arrived is not None:
                    torch.cuda.current_stream(self._device).wait_event(found.arrived)
                yield found.batch
                free.put((found.place, self._now()))
        finally:
            free.put(None)
            copying.join()

    def close(self) -> None:
        self._engine.close()
        self._places = []

    def __reduce__(self) -> tuple[Any, ...]:
        return OnDevice, (self._engine, self._wanted, self._device, self._ahead)

    def _make_places(self, rows: int) -> None:
        if self._stream is None and self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if not self._places or len(self._places[0].rows) < rows:
            empty = partial(torch.empty, device=self._device)
            self._places = [Slot.new(rows, self._wanted, empty) for _ in range(self._ahead + 1)]

    def _now(self) -> Any:
        """The event that all work is done which the caller's stream has been given so far."""
        return None if self._stream is None else torch.cuda.current_stream(self._device).record_event()

    def _copy(self, tasks: Sequence[Task], free: _Free, arriving: _Arriving) -> None:
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                for batch in batches:
                    found = free.get()
                    if found is None:
                        return
                    place, writable = found
                    arriving.put(self._staged(batch, place, writable))
            arriving.put(None)
        except BaseException as error:  # it is raised where the batch is waited for
            arriving.put(error)

    def _staged(self, batch: Batch, place: Slot, writable: Any) -> _Staged:
        many = len(batch.rows)
        with torch.cuda.stream(self._stream):
            if writable is not None:
                self._stream.wait_event(writable)
            there: dict[str, Any] = {
                name: _copied(getattr(batch, name), getattr(place, name), many)
                for name in ("images", "labels", "maps")
            }
            arrived = None if self._stream is None else self._stream.record_event()
        if arrived is not None:
            arrived.synchronize()  # the host's memory is filled anew when the next batch is asked for
        host: dict[str, Any] = {name: _cloned(getattr(batch, name)) for name in ("rows", "moved", "sizes")}
        return _Staged(replace(batch, **there, **host), place, arrived)


def _copied(source: torch.Tensor | None, place: torch.Tensor | None, many: int) -> torch.Tensor | None:
    if source is None or place is None:
        return None
    return place[:many].copy_(source, non_blocking=True)


def _cloned(source: torch.Tensor | None) -> torch.Tensor | None:
    return None if source is None else source.clone()
