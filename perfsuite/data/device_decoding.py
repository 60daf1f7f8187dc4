"""The engine that decodes where the model is: one call to nvJPEG a batch, crops and draws on the device.

What nvJPEG does badly (progressive, grey, CMYK, turned or damaged files) is made on the host, as everywhere.
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

from perfsuite.data.crops import Window
from perfsuite.data.decode import decoder
from perfsuite.data.faults import Fault
from perfsuite.data.feed import Feeding, OneAtATime, longest
from perfsuite.data.header import read_header
from perfsuite.data.image_file import is_within_pixel_limit
from perfsuite.data.pictures import PictureMaker, Shown
from perfsuite.data.recipe import Recipe
from perfsuite.data.sets import Source
from perfsuite.data.slots import Batch, Slot, Task
from perfsuite.errors import DataError
from perfsuite.transforms.modes import Draw, Draws
from perfsuite.transforms.on_device import augment

_UNCHANGED = Draw()


class DeviceDecoding:
    """Batches whose pictures are decoded on `device`; threads of the host read the files ahead."""

    name = "device"

    def __init__(
        self, source: Source, recipe: Recipe, device: torch.device, how: Feeding | None = None
    ) -> None:
        self._source, self._recipe, self._device, self._how = source, recipe, device, how or Feeding()
        self._maker: PictureMaker | None = None
        self._slot: Slot | None = None
        self._stream: Any = None
        self._one = OneAtATime()

    def run(self, tasks: Sequence[Task]) -> Iterator[Batch]:
        return self._one.give(self._run(tasks))

    def _run(self, tasks: Sequence[Task]) -> Generator[Batch]:
        maker, slot = self._made_ready(longest(tasks))
        with ThreadPoolExecutor(max(1, self._how.workers), thread_name_prefix="perfsuite-read") as readers:
            for task, files in self._read_ahead(tasks, readers):
                with torch.cuda.stream(self._stream):
                    batch = self._batch(task, files, slot, maker)
                if self._stream is not None:
                    self._stream.synchronize()
                yield batch

    def close(self) -> None:
        self._maker = self._slot = None

    def __reduce__(self) -> tuple[Any, ...]:
        return DeviceDecoding, (self._source, self._recipe, self._device, self._how)

    def _made_ready(self, rows: int) -> tuple[PictureMaker, Slot]:
        if self._stream is None and self._device.type == "cuda":
            # Of its own, so that draining it before nvJPEG writes does not wait for a model; and kept, as
            # memory that one stream has freed is not given to the next one.
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        if self._maker is None:
            self._maker = PictureMaker(self._source, self._recipe)
        if self._slot is None or len(self._slot.rows) < rows:
            empty = partial(torch.empty, device=self._device)
            self._slot = Slot.new(rows, self._recipe.wanted, empty)
        return self._maker, self._slot

    def _read_ahead(
        self, tasks: Sequence[Task], readers: ThreadPoolExecutor
    ) -> Iterator[tuple[Task, list[bytes]]]:
        reading: deque[tuple[Task, list[Future[bytes]]]] = deque()
        for task in chain(tasks, [None] * self._how.prefetch):
            if task is not None:
                reading.append((task, [readers.submit(self._read, int(row)) for row in task.rows]))
            if len(reading) > self._how.prefetch or (task is None and reading):
                first, files = reading.popleft()
                yield first, [file.result() for file in files]

    def _read(self, row: int) -> bytes:
        try:
            return self._source.read(row)
        except Exception:
            return b""  # the host reads it again, and applies the policy to what is raised then

    def _batch(self, task: Task, files: Sequence[bytes], slot: Slot, maker: PictureMaker) -> Batch:
        places = len(task.rows)
        host = Slot.new(places, self._recipe.wanted)
        room = host.room(places)
        numbers, drawn = maker.chance(task.epoch, task.rows)
        here = [place for place, file in enumerate(files) if _is_for_nvjpeg(file)]
        decoded = _decoded([files[place] for place in here], self._device)
        if decoded is None:
            here, decoded = [], []
        shown: dict[int, torch.Tensor] = {}
        for place, pixels in zip(here, decoded, strict=True):
            row, (height, width) = int(task.rows[place]), pixels.shape[1:]
            window = maker.window(width, height, numbers[place])
            room.rows[place], room.labels[place] = row, self._source.labels[row]
            # Where its map cannot be read, the host finds that again and applies the policy to it.
            with suppress(Exception):
                maker.follow(row, Shown((width, height), window), drawn[place], room, place)
                shown[place] = show(pixels, window)
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
            slot.images[here] = _drawn(Draws(drawn.rows[here]), torch.stack(list(shown.values()))).permute(
                0, 2, 3, 1
            )
        told = Slot(slot.images, slot.labels, host.rows, host.moved, host.sizes, slot.maps)
        return told.batch(places, tuple(faults))


def show(pixels: torch.Tensor, window: Window) -> torch.Tensor:
    """The window of a decoded picture (3 x height x width), resized with antialiasing as on the host."""
    left, top, width, height = window.box
    box = pixels[:, top : top + height, left : left + width]
    full = interpolate(box[None].float(), window.full[::-1], mode="bilinear", antialias=True)[0]
    across, down = window.at
    kept = full[:, down : down + window.size[1], across : across + window.size[0]]
    return kept.round().clamp(0, 255).to(torch.uint8)


def _drawn(drawn: Draws, pictures: torch.Tensor) -> torch.Tensor:
    if all(drawn[place] == _UNCHANGED for place in range(len(drawn))):
        return pictures
    return augment(drawn, pictures)


def _is_for_nvjpeg(file: bytes) -> bool:
    header = read_header(file)
    if header is None or not header.is_plain or header.components != 3 or header.progressive:
        return False
    # What is beyond the limit is for the host, which refuses it.
    return is_within_pixel_limit(header.width, header.height)


def _decoded(files: list[bytes], device: torch.device) -> list[torch.Tensor] | None:
    """All of them in one call; None where one of them cannot be decoded, and nobody says which."""
    try:
        return _by_nvjpeg(files, device) if device.type == "cuda" else _on_the_host(files)
    except (RuntimeError, ValueError, MemoryError, DataError):
        return None


def _by_nvjpeg(files: list[bytes], device: torch.device) -> list[torch.Tensor]:
    if find_spec("torchcodec"):
        from torchcodec.decoders import decode_jpeg
    else:
        from torchvision.io import decode_jpeg
    # Of Hopper's hardware decoder it is known that it writes before what the stream still has to do
    # (pytorch/torchcodec#1634, pytorch/vision#9606).
    torch.cuda.current_stream(device).synchronize()
    tensors = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
    return list(decode_jpeg(tensors, mode="RGB", device=device)) if tensors else []


def _on_the_host(files: list[bytes]) -> list[torch.Tensor]:
    return [torch.from_numpy(decoder("auto")(file)).permute(2, 0, 1) for file in files]
