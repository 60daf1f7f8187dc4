"""Copy batches to a device ahead of time, on a separate stream, while the previous step computes."""

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
from perfsuite.signals import interrupts_deferred


class _DeviceBatch(NamedTuple):
    """A batch on the device, its buffer there, and the event that marks the end of its copy."""

    batch: Batch
    buffer: BatchBuffer
    copied: Any


# A device buffer, and the event after which it may be written; None ends the copying.
_FreeBuffers = SimpleQueue[tuple[BatchBuffer, Any] | None]
_ReadyBatches = SimpleQueue[_DeviceBatch | BaseException | None]


class DevicePrefetcher:
    """Wraps an engine: pixels, labels and maps are on the device, what targets need stays on the host.

    The device buffers are allocated once and used in turn, so no stream reads memory that another has freed.
    A batch is valid until the caller requests the next one. Its buffer is written again only after the work
    that the caller's stream had queued by then; the device waits for that, not the host.
    """

    def __init__(self, engine: Engine, layout: BatchLayout, device: torch.device, ahead: int = 2) -> None:
        self._engine, self._layout, self._device = engine, layout, device
        self._ahead = max(1, ahead)
        self._buffers: list[BatchBuffer] = []
        self._stream: Any = None
        self._copier: Thread | None = None
        self._exclusive = ExclusiveIteration()

    @property
    def name(self) -> str:
        return self._engine.name

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        self._join_copier()  # of an iteration whose end was interrupted
        free: _FreeBuffers = SimpleQueue()
        ready: _ReadyBatches = SimpleQueue()
        self._allocate_buffers(max_batch_rows(tasks))
        for buffer in self._buffers:
            free.put((buffer, self._record_event()))
        self._copier = Thread(
            target=self._copy, args=(tasks, free, ready), name="perfsuite-copy", daemon=True
        )
        try:
            with interrupts_deferred():  # only a thread that has begun can be joined
                self._copier.start()
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                if item.copied is not None:
                    torch.cuda.current_stream(self._device).wait_event(item.copied)
                yield item.batch
                free.put((item.buffer, self._record_event()))
        finally:
            free.put(None)
            self._join_copier()

    def _join_copier(self) -> None:
        """Wait until the thread that copies has ended: it uses the engine and the buffers."""
        if self._copier is not None and self._copier.ident is not None:
            self._copier.join()
        self._copier = None

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
        """An event after all work that the caller's stream has queued so far."""
        return None if self._stream is None else torch.cuda.current_stream(self._device).record_event()

    def _copy(self, tasks: Sequence[BatchTask], free: _FreeBuffers, ready: _ReadyBatches) -> None:
        try:
            with closing(self._engine.run(tasks)) as batches:  # type: ignore[type-var]
                for batch in batches:
                    item = free.get()
                    if item is None:
                        return
                    buffer, writable = item
                    ready.put(self._copy_batch(batch, buffer, writable))
            ready.put(None)
        except BaseException as error:  # raised again in the caller's thread
            ready.put(error)

    def _copy_batch(self, batch: Batch, buffer: BatchBuffer, writable: Any) -> _DeviceBatch:
        count = len(batch.rows)
        with torch.cuda.stream(self._stream):
            if writable is not None:
                self._stream.wait_event(writable)
            on_device: dict[str, Any] = {
                name: _copy_into(getattr(batch, name), getattr(buffer, name), count)
                for name in ("images", "labels", "maps")
            }
            copied = None if self._stream is None else self._stream.record_event()
        if copied is not None:
            copied.synchronize()  # the engine writes the host's memory again for the next batch
        on_host: dict[str, Any] = {
            name: _clone(getattr(batch, name))
            for name in ("rows", "affines", "original_sizes", "map_origins")
        }
        return _DeviceBatch(replace(batch, **on_device, **on_host), buffer, copied)


def _copy_into(source: torch.Tensor | None, target: torch.Tensor | None, count: int) -> torch.Tensor | None:
    if source is None or target is None:
        return None
    return target[:count].copy_(source, non_blocking=True)


def _clone(source: torch.Tensor | None) -> torch.Tensor | None:
    return None if source is None else source.clone()
