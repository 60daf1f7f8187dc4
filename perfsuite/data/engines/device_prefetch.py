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

from perfsuite.data.batch import Batch, BatchBuffer, BatchLayout, BatchTask
from perfsuite.data.engines.base import Engine, ExclusiveIteration, max_batch_rows


class _DeviceBatch(NamedTuple):
    """A batch in a place on the device, and the event of its arrival there."""

    batch: Batch
    buffer: BatchBuffer
    arrived: Any


# A place to copy to, and the event after which it may be written; None ends the copying.
_FreeBuffers = SimpleQueue[tuple[BatchBuffer, Any] | None]
_ReadyBatches = SimpleQueue[_DeviceBatch | BaseException | None]


class DevicePrefetcher:
    """An engine whose batches lie on a device: pixels, labels and maps; what targets need stays on the host.

    The places they are copied to are used in turn and freed by nobody, so no stream reads what another has
    given away. A batch is the caller's until the next one is asked for; what the caller's stream has been
    told to do by then is waited for, on the device, before its place is written again.
    """

    def __init__(self, fed_by: Engine, wanted: BatchLayout, device: torch.device, ahead: int = 2) -> None:
        self._engine, self._layout, self._device = fed_by, wanted, device
        self._ahead = max(1, ahead)
        self._buffers: list[BatchBuffer] = []
        self._stream: Any = None
        self._exclusive = ExclusiveIteration()

    @property
    def name(self) -> str:
        return self._engine.name

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        free: _FreeBuffers = SimpleQueue()
        arriving: _ReadyBatches = SimpleQueue()
        self._allocate_buffers(max_batch_rows(tasks))
        for place in self._buffers:
            free.put((place, self._record_event()))
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
                free.put((found.buffer, self._record_event()))
        finally:
            free.put(None)
            copying.join()

    def close(self) -> None:
        self._engine.close()
        self._buffers = []

    def __reduce__(self) -> tuple[Any, ...]:
        return DevicePrefetcher, (self._engine, self._layout, self._device, self._ahead)

    def _allocate_buffers(self, rows: int) -> None:
        if self._stream is None and self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if not self._buffers or len(self._buffers[0].rows) < rows:
            empty = partial(torch.empty, device=self._device)
            self._buffers = [BatchBuffer.new(rows, self._layout, empty) for _ in range(self._ahead + 1)]

    def _record_event(self) -> Any:
        """The event that all work is done which the caller's stream has been given so far."""
        return None if self._stream is None else torch.cuda.current_stream(self._device).record_event()

    def _copy(self, tasks: Sequence[BatchTask], free: _FreeBuffers, arriving: _ReadyBatches) -> None:
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                for batch in batches:
                    found = free.get()
                    if found is None:
                        return
                    place, writable = found
                    arriving.put(self._copy_batch(batch, place, writable))
            arriving.put(None)
        except BaseException as error:  # it is raised where the batch is waited for
            arriving.put(error)

    def _copy_batch(self, batch: Batch, place: BatchBuffer, writable: Any) -> _DeviceBatch:
        many = len(batch.rows)
        with torch.cuda.stream(self._stream):
            if writable is not None:
                self._stream.wait_event(writable)
            there: dict[str, Any] = {
                name: _copy_into(getattr(batch, name), getattr(place, name), many)
                for name in ("images", "labels", "maps")
            }
            arrived = None if self._stream is None else self._stream.record_event()
        if arrived is not None:
            arrived.synchronize()  # the host's memory is filled anew when the next batch is asked for
        host: dict[str, Any] = {
            name: _clone(getattr(batch, name)) for name in ("rows", "affines", "original_sizes")
        }
        return _DeviceBatch(replace(batch, **there, **host), place, arrived)


def _copy_into(source: torch.Tensor | None, place: torch.Tensor | None, many: int) -> torch.Tensor | None:
    if source is None or place is None:
        return None
    return place[:many].copy_(source, non_blocking=True)


def _clone(source: torch.Tensor | None) -> torch.Tensor | None:
    return None if source is None else source.clone()
