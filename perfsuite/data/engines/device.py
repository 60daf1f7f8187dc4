"""Decode on the device: one nvJPEG call per batch, then crops and augmentation on the device.

The host makes the images that nvJPEG decodes badly: progressive, gray, CMYK, rotated or damaged files. Not
measured on a GPU yet; on a CPU the same code runs with a decoder of the host.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch.nn.functional import interpolate

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask, BatchView
from perfsuite.data.crop import CropGeometry, CropWindow
from perfsuite.data.decoding.nvjpeg import decode_batch, suits_nvjpeg
from perfsuite.data.engines.base import EngineEntry, ExclusiveIteration, WorkerConfig, max_batch_rows
from perfsuite.data.engines.stuck_workers import stuck_error
from perfsuite.data.engines.worker_threads import WorkerThreads
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_maker import ImageMaker
from perfsuite.data.sample_rng import IDENTITY_PARAMETERS
from perfsuite.data.sources.base import ImageSource, read_row
from perfsuite.transforms.augment.device import augment_batch
from perfsuite.transforms.augment.parameters import BatchParameters


class DeviceDecodeEngine:
    """Decodes batches on `device`; threads of the host read the files ahead."""

    name = "device"

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        device: torch.device,
        worker_config: WorkerConfig | None = None,
    ) -> None:
        self._source, self._image_config, self._device = source, image_config, device
        self._worker_config = worker_config or WorkerConfig()
        self._maker: ImageMaker | None = None
        self._buffer: BatchBuffer | None = None
        self._stream: Any = None
        self._exclusive = ExclusiveIteration()

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        maker, buffer = self._prepare(max_batch_rows(tasks))
        readers = WorkerThreads(max(1, self._worker_config.num_workers), "perfsuite-read")
        wait_seconds: float | None = 0  # unless the iteration ends in order
        try:
            for task, files in self._read_ahead(tasks, readers):
                with torch.cuda.stream(self._stream):
                    batch = self._make_batch(task, files, buffer, maker)
                if self._stream is not None:
                    self._stream.synchronize()
                yield batch
            wait_seconds = self._worker_config.timeout_or_none
        except GeneratorExit:
            wait_seconds = self._worker_config.timeout_or_none
            raise
        finally:
            readers.close(wait_seconds)

    def close(self) -> None:
        self._maker = self._buffer = None

    def __reduce__(self) -> tuple[Any, ...]:
        return DeviceDecodeEngine, (self._source, self._image_config, self._device, self._worker_config)

    def _prepare(self, rows: int) -> tuple[ImageMaker, BatchBuffer]:
        if self._stream is None and self._device.type == "cuda":
            # A separate stream, so that synchronizing it before nvJPEG writes does not wait for a model.
            # One stream for all epochs: the allocator does not give one stream's freed memory to another.
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if self._maker is None:
            self._maker = ImageMaker(self._source, self._image_config)
        if self._buffer is None or len(self._buffer.rows) < rows:
            empty = partial(torch.empty, device=self._device)
            self._buffer = BatchBuffer.new(rows, self._image_config.batch_layout, empty)
        return self._maker, self._buffer

    def _read_ahead(
        self, tasks: Sequence[BatchTask], readers: WorkerThreads
    ) -> Iterator[tuple[BatchTask, list[bytes]]]:
        ahead = self._worker_config.prefetch_factor
        reading: deque[tuple[BatchTask, list[Future[bytes]]]] = deque()
        for task in chain(tasks, [None] * ahead):
            if task is not None:
                reading.append((task, [readers.submit(self._read, int(row)) for row in task.rows]))
            if len(reading) > ahead or (task is None and reading):
                first, files = reading.popleft()
                yield first, self._collect(first, files)

    def _collect(self, task: BatchTask, files: Sequence[Future[bytes]]) -> list[bytes]:
        """The files of a batch; a DataError if reading one of them takes longer than the time limit."""
        timeout = self._worker_config.timeout
        read: list[bytes] = []
        for file in files:
            try:
                read.append(file.result(self._worker_config.timeout_or_none))
            except FutureTimeoutError as error:
                row = int(task.rows[len(read)])
                raise stuck_error(self._source, [("the reading thread", row)], timeout) from error
        return read

    def _read(self, row: int) -> bytes:
        try:
            return read_row(self._source, row)
        except BaseException:
            return b""  # the host reads it again, and raises the error or applies the fault policy to it

    def _make_batch(
        self, task: BatchTask, files: Sequence[bytes], buffer: BatchBuffer, maker: ImageMaker
    ) -> Batch:
        count = len(task.rows)
        host = BatchBuffer.new(count, self._image_config.batch_layout)
        view = host.view(count)
        uniforms, image_parameters = maker.random_parameters(task.epoch, task.rows)
        crops: dict[int, torch.Tensor] = {}
        for position, pixels in self._decode(files).items():
            row, (height, width) = int(task.rows[position]), pixels.shape[1:]
            window = maker.window(width, height, uniforms[position])
            view.rows[position], view.labels[position] = row, self._source.labels[row]
            # If its map cannot be read, the host makes the image again and applies the fault policy.
            with suppress(Exception):
                geometry = CropGeometry((width, height), window)
                maker.record_geometry(row, geometry, image_parameters[position], view, position)
                crops[position] = resize_on_device(pixels, window)
        on_device = list(crops)
        on_host = sorted(set(range(count)) - set(on_device))
        faults = _fill_on_host(maker, task, view, on_host)
        buffer.labels[:count].copy_(host.labels)
        if buffer.maps is not None and host.maps is not None:
            buffer.maps[:count].copy_(host.maps)
        if on_host:
            buffer.images[on_host] = host.images[on_host].to(self._device)
        if crops:
            images = _augment_batch(
                BatchParameters(image_parameters.rows[on_device]), torch.stack(list(crops.values()))
            )
            buffer.images[on_device] = images.permute(0, 2, 3, 1)
        filled = BatchBuffer(
            images=buffer.images,
            labels=buffer.labels,
            rows=host.rows,
            affines=host.affines,
            original_sizes=host.original_sizes,
            maps=buffer.maps,
            map_origins=host.map_origins,
        )
        return filled.to_batch(count, tuple(faults))

    def _decode(self, files: Sequence[bytes]) -> dict[int, torch.Tensor]:
        """Decode the files that suit nvJPEG, by position; none if any of them is damaged."""
        positions = [position for position, file in enumerate(files) if suits_nvjpeg(file)]
        decoded = decode_batch([files[position] for position in positions], self._device)
        return {} if decoded is None else dict(zip(positions, decoded, strict=True))


def _fill_on_host(
    maker: ImageMaker, task: BatchTask, view: BatchView, positions: Sequence[int]
) -> list[Fault]:
    faults: list[Fault] = []
    for position in positions:
        part = slice(position, position + 1)
        faults += maker.fill(task.epoch, task.rows[part], view[part])
    return faults


def resize_on_device(pixels: torch.Tensor, window: CropWindow) -> torch.Tensor:
    """Crop and resize a decoded image (3 x height x width) with antialiasing, as on the host."""
    left, top, width, height = window.box
    box = pixels[:, top : top + height, left : left + width]
    resized = interpolate(box[None].float(), window.resized_size[::-1], mode="bilinear", antialias=True)[0]
    x, y = window.offset
    crop = resized[:, y : y + window.size[1], x : x + window.size[0]]
    return crop.round().clamp(0, 255).to(torch.uint8)


def _augment_batch(parameters: BatchParameters, images: torch.Tensor) -> torch.Tensor:
    if all(parameters[index] == IDENTITY_PARAMETERS for index in range(len(parameters))):
        return images
    return augment_batch(parameters, images)


ENGINE = EngineEntry(
    name="device",
    create=lambda source, image_config, worker_config, device: DeviceDecodeEngine(
        source, image_config, device, worker_config
    ),
    needs_workers=False,
)
