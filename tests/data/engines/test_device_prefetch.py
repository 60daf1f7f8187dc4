from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from perfsuite.data.batch import Batch, BatchBuffer, BatchLayout, BatchTask
from perfsuite.data.engines.device_prefetch import DevicePrefetcher
from perfsuite.data.loaders import Loaders, make_loaders
from perfsuite.errors import DataError
from tests.data.test_batch import tensors_of

CPU = torch.device("cpu")
TASKS = [BatchTask(0, np.arange(4 * number, 4 * number + 4 - number % 2)) for number in range(7)]


class OverwritingEngine:
    """An engine with a single buffer, which it overwrites as soon as the next batch is requested."""

    name = "overwriting"

    def __init__(self, fails_at: int | None = None) -> None:
        self.buffer = BatchBuffer.new(4, BatchLayout(2, with_geometry=True, map_dtype=torch.uint8))
        self.fails_at, self.given, self.ended = fails_at, 0, threading.Event()

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        try:
            for number, task in enumerate(tasks):
                if number == self.fails_at:
                    raise DataError("planted")
                view = self.buffer.view(len(task.rows))
                view.rows[:] = task.rows
                for part in (view.images, view.labels, view.affines, view.original_sizes, view.maps):
                    assert part is not None
                    part[:] = number
                self.given += 1
                yield self.buffer.to_batch(len(task.rows), ())
                for tensor in tensors_of(self.buffer):
                    tensor.fill_(99)
        finally:
            self.ended.set()

    def close(self) -> None: ...


def test_batches_are_complete_and_in_order_while_host_memory_is_overwritten() -> None:
    for number, batch in enumerate(
        DevicePrefetcher(OverwritingEngine(), BatchLayout(2, True, torch.uint8), CPU).run(TASKS)
    ):
        assert batch.rows.tolist() == TASKS[number].rows.tolist()
        assert batch.affines is not None
        assert batch.maps is not None
        for tensor in (batch.images, batch.labels, batch.affines, batch.maps):
            assert len(tensor) == len(batch.rows)
            assert (tensor == number).all()
    assert number == 6


def test_no_more_batches_are_taken_than_there_are_buffers() -> None:
    engine = OverwritingEngine()
    batches = DevicePrefetcher(engine, BatchLayout(2), CPU, ahead=2).run(TASKS)
    next(batches)
    assert engine.given <= 4  # the given one, two ahead, and one that waits for a buffer
    batches.close()  # type: ignore[attr-defined]
    assert engine.ended.wait(10)


def test_an_error_is_raised_after_the_batches_before_it() -> None:
    engine = OverwritingEngine(fails_at=3)
    batches = DevicePrefetcher(engine, BatchLayout(2), CPU).run(TASKS)
    assert [int(next(batches).images.flatten()[0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match="planted"):
        next(batches)
    assert not [thread for thread in threading.enumerate() if thread.name == "perfsuite-copy"]


def test_a_second_epoch_uses_the_same_buffers() -> None:
    prefetcher = DevicePrefetcher(OverwritingEngine(), BatchLayout(2), CPU)
    first = {batch.images.data_ptr() for batch in prefetcher.run(TASKS)}
    assert {batch.images.data_ptr() for batch in prefetcher.run(TASKS)} == first
    assert len(first) == 3


@pytest.mark.gpu
def test_loaders_on_a_device_give_the_batches_of_the_host(folder: Path) -> None:
    def fresh(device: str) -> Loaders:
        return make_loaders(folder, 8, 2, "moderate", image_size=32, device=device)

    host, device = fresh("cpu"), fresh("cuda")
    for _ in range(3):
        for (images, labels), (expected, expected_labels) in zip(device.train, host.train, strict=True):
            assert images.device.type == labels.device.type == "cuda"
            assert torch.allclose(images.cpu(), expected, rtol=0, atol=1e-6)
            assert torch.equal(labels.cpu(), expected_labels)


@pytest.mark.gpu
def test_a_batch_is_not_overwritten_while_a_slow_step_reads_it() -> None:
    """Without waiting for the caller's stream, the sums would be those of later batches."""
    sums = []
    for batch in DevicePrefetcher(OverwritingEngine(), BatchLayout(2), torch.device("cuda"), ahead=1).run(
        TASKS
    ):
        torch.cuda._sleep(50_000_000)  # type: ignore[no-untyped-call]
        sums.append(batch.images.sum(dtype=torch.int64) / batch.images.numel())
    assert [round(float(mean)) for mean in sums] == list(range(7))


@pytest.mark.gpu
def test_reserved_memory_does_not_grow_with_epochs(folder: Path) -> None:
    loader = make_loaders(folder, 8, 2, image_size=64, device="cuda").train
    list(loader)
    reserved = torch.cuda.memory_reserved()
    for _ in range(50):
        list(loader)
    assert torch.cuda.memory_reserved() <= reserved
