"""The engine that decodes where the model is: one call to nvJPEG a batch, crops and draws on the device.

What nvJPEG does badly (progressive, gray, CMYK, turned or damaged files) is made on the host, as everywhere.
Not measured on a GPU yet; on a CPU it runs the same code with a decoder of the host.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from itertools import chain
from typing import Any

import torch
from torch.nn.functional import interpolate

from perfsuite.data.batch import Batch, BatchBuffer, BatchTask
from perfsuite.data.crop import CropWindow
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.registry import get_decoder
from perfsuite.data.engines.base import ExclusiveIteration, WorkerConfig, max_batch_rows
from perfsuite.data.faults import Fault
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.image_file import is_within_pixel_limit
from perfsuite.data.image_maker import CropGeometry, ImageMaker
from perfsuite.data.sources.files import ImageSource
from perfsuite.errors import DataError
from perfsuite.transforms.augment.device import augment_batch
from perfsuite.transforms.augment.draws import Draw, Draws

_IDENTITY_DRAW = Draw()


class DeviceDecodeEngine:
    """Batches whose images are decoded on `device`; threads of the host read the files ahead."""

    name = "device"

    def __init__(
        self, source: ImageSource, recipe: ImageConfig, device: torch.device, how: WorkerConfig | None = None
    ) -> None:
        self._source, self._image_config, self._device, self._worker_config = (
            source,
            recipe,
            device,
            how or WorkerConfig(),
        )
        self._maker: ImageMaker | None = None
        self._slot: BatchBuffer | None = None
        self._stream: Any = None
        self._exclusive = ExclusiveIteration()

    def run(self, tasks: Sequence[BatchTask]) -> Iterator[Batch]:
        return self._exclusive.iterate(self._run(tasks))

    def _run(self, tasks: Sequence[BatchTask]) -> Generator[Batch]:
        maker, slot = self._prepare(max_batch_rows(tasks))
        with ThreadPoolExecutor(
            max(1, self._worker_config.workers), thread_name_prefix="perfsuite-read"
        ) as readers:
            for task, files in self._read_ahead(tasks, readers):
                with torch.cuda.stream(self._stream):
                    batch = self._make_batch(task, files, slot, maker)
                if self._stream is not None:
                    self._stream.synchronize()
                yield batch

    def close(self) -> None:
        self._maker = self._slot = None

    def __reduce__(self) -> tuple[Any, ...]:
        return DeviceDecodeEngine, (self._source, self._image_config, self._device, self._worker_config)

    def _prepare(self, rows: int) -> tuple[ImageMaker, BatchBuffer]:
        if self._stream is None and self._device.type == "cuda":
            # Of its own, so that draining it before nvJPEG writes does not wait for a model; and kept, as
            # memory that one stream has freed is not given to the next one.
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if self._maker is None:
            self._maker = ImageMaker(self._source, self._image_config)
        if self._slot is None or len(self._slot.rows) < rows:
            empty = partial(torch.empty, device=self._device)
            self._slot = BatchBuffer.new(rows, self._image_config.batch_layout, empty)
        return self._maker, self._slot

    def _read_ahead(
        self, tasks: Sequence[BatchTask], readers: ThreadPoolExecutor
    ) -> Iterator[tuple[BatchTask, list[bytes]]]:
        reading: deque[tuple[BatchTask, list[Future[bytes]]]] = deque()
        for task in chain(tasks, [None] * self._worker_config.prefetch):
            if task is not None:
                reading.append((task, [readers.submit(self._read, int(row)) for row in task.rows]))
            if len(reading) > self._worker_config.prefetch or (task is None and reading):
                first, files = reading.popleft()
                yield first, [file.result() for file in files]

    def _read(self, row: int) -> bytes:
        try:
            return self._source.read(row)
        except Exception:
            return b""  # the host reads it again, and applies the policy to what is raised then

    def _make_batch(
        self, task: BatchTask, files: Sequence[bytes], slot: BatchBuffer, maker: ImageMaker
    ) -> Batch:
        places = len(task.rows)
        host = BatchBuffer.new(places, self._image_config.batch_layout)
        room = host.view(places)
        numbers, drawn = maker.random_parameters(task.epoch, task.rows)
        here = [place for place, file in enumerate(files) if _suits_nvjpeg(file)]
        decoded = _decode_batch([files[place] for place in here], self._device)
        if decoded is None:
            here, decoded = [], []
        shown: dict[int, torch.Tensor] = {}
        for place, pixels in zip(here, decoded, strict=True):
            row, (height, width) = int(task.rows[place]), pixels.shape[1:]
            window = maker.window(width, height, numbers[place])
            room.rows[place], room.labels[place] = row, self._source.labels[row]
            # Where its map cannot be read, the host finds that again and applies the policy to it.
            with suppress(Exception):
                maker.record_geometry(row, CropGeometry((width, height), window), drawn[place], room, place)
                shown[place] = resize_on_device(pixels, window)
        here = list(shown)
        faults: list[Fault] = []
        others = sorted(set(range(places)) - set(here))
        for place in others:
            part = slice(place, place + 1)
            faults += maker.fill(task.epoch, task.rows[part], room[part])
        slot.labels[:places].copy_(host.labels)
        if slot.maps is not None and host.maps is not None:
            slot.maps[:places].copy_(host.maps)
        if others:
            slot.images[others] = host.images[others].to(self._device)
        if shown:
            slot.images[here] = _augment_batch(
                Draws(drawn.rows[here]), torch.stack(list(shown.values()))
            ).permute(0, 2, 3, 1)
        told = BatchBuffer(slot.images, slot.labels, host.rows, host.affines, host.original_sizes, slot.maps)
        return told.to_batch(places, tuple(faults))


def resize_on_device(pixels: torch.Tensor, window: CropWindow) -> torch.Tensor:
    """The window of a decoded image (3 x height x width), resized with antialiasing as on the host."""
    left, top, width, height = window.box
    box = pixels[:, top : top + height, left : left + width]
    full = interpolate(box[None].float(), window.resized_size[::-1], mode="bilinear", antialias=True)[0]
    across, down = window.offset
    kept = full[:, down : down + window.size[1], across : across + window.size[0]]
    return kept.round().clamp(0, 255).to(torch.uint8)


def _augment_batch(drawn: Draws, images: torch.Tensor) -> torch.Tensor:
    if all(drawn[place] == _IDENTITY_DRAW for place in range(len(drawn))):
        return images
    return augment_batch(drawn, images)


def _suits_nvjpeg(file: bytes) -> bool:
    header = read_jpeg_header(file)
    if header is None or not header.is_plain or header.components != 3 or header.progressive:
        return False
    # What is beyond the limit is for the host, which refuses it.
    return is_within_pixel_limit(header.width, header.height)


def _decode_batch(files: list[bytes], device: torch.device) -> list[torch.Tensor] | None:
    """All of them in one call; None where one of them cannot be decoded, and nobody says which."""
    try:
        return _decode_with_nvjpeg(files, device) if device.type == "cuda" else _decode_on_host(files)
    except (RuntimeError, ValueError, MemoryError, DataError):
        return None


def _decode_with_nvjpeg(files: list[bytes], device: torch.device) -> list[torch.Tensor]:
    if find_spec("torchcodec"):
        from torchcodec.decoders import decode_jpeg
    else:
        from torchvision.io import decode_jpeg
    # Of Hopper's hardware decoder it is known that it writes before what the stream still has to do
    # (pytorch/torchcodec#1634, pytorch/vision#9606).
    torch.cuda.current_stream(device).synchronize()
    tensors = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
    return list(decode_jpeg(tensors, mode="RGB", device=device)) if tensors else []


def _decode_on_host(files: list[bytes]) -> list[torch.Tensor]:
    return [torch.from_numpy(get_decoder("auto")(file)).permute(2, 0, 1) for file in files]
