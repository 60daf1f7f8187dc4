"""From a row of a source to pixels in a batch: read, decode, crop, resize, augment; or what was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perfsuite.data import crops, windows
from perfsuite.data.chance import NOTHING_DRAWN, crop_numbers, mirrored_on_the_way, one_by_one
from perfsuite.data.decode import decoder, image_errors
from perfsuite.data.faults import IMAGE_ERRORS, Fault, raised, reason_of
from perfsuite.data.header import read_header
from perfsuite.data.recipe import Recipe
from perfsuite.data.rooms import Kept
from perfsuite.data.sets import Source
from perfsuite.data.slots import NOTHING, Room
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms.geometry import affine, inverse, is_nothing
from perfsuite.transforms.labels import move_map
from perfsuite.transforms.modes import Draw, Draws, draws
from perfsuite.transforms.on_picture import GREY, apply

Pixels = NDArray[np.uint8]
Numbers = crops.Numbers
Matrix = NDArray[np.float64]
Sides = tuple[int, int]  # width and height of the picture as it is stored
_REFILLS = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """What was seen of a picture: a window of it, or of a kept one of another size."""

    sides: Sides
    window: crops.Window
    kept: Sides | None = None

    @property
    def forward(self) -> Matrix:
        """Where a point of the picture went."""
        forward = crops.forward(self.window)
        if self.kept is None:
            return forward
        return forward @ np.diag((self.kept[0] / self.sides[0], self.kept[1] / self.sides[1], 1.0))


class PictureMaker:
    """Makes pictures for one thread: it keeps the buffers that decoding needs."""

    def __init__(self, source: Source, recipe: Recipe) -> None:
        self._source = source
        self._recipe = recipe
        self._decode = None if recipe.decoder == "auto" else decoder(recipe.decoder)
        fast = self._decode is None and windows.is_available()
        self._windows = windows.WindowReader() if fast else None
        # A cache has decoded or finished pictures to offer (perfsuite.data.cache).
        self._kept = getattr(source, "decoded", None)
        self._finished = cast("Any", source) if hasattr(source, "finished") else None
        if hasattr(source, "recipe"):
            recipe.check_kept(source.recipe, finished=self._finished is not None)

    def fill(self, epoch: int, rows: NDArray[np.int64], room: Room) -> tuple[Fault, ...]:
        """Fill the places with these rows, a pure function of epoch and rows; what could not be read."""
        if self._finished is not None:
            epoch %= self._finished.epochs
        numbers, drawn = self.chance(epoch, rows)
        room.rows[:], room.labels[:] = rows, self._source.labels[rows]
        faults: list[Fault] = []
        # Plain numbers from here on: numpy's take longer, one by one.
        for place, (row, crop, then) in enumerate(
            zip(rows.tolist(), numbers.tolist(), one_by_one(drawn), strict=True)
        ):
            fault = self._make(epoch, row, crop, then, room, place)
            if fault is not None:
                faults.append(fault)
                self._mend(fault, epoch, row, room, place, faults)
        return tuple(faults)

    def chance(self, epoch: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], Draws]:
        """What decides where these rows are cropped, and what is drawn for them."""
        recipe = self._recipe
        return crop_numbers(recipe, epoch, rows), draws(recipe.mode, recipe.seed, epoch, rows)

    def _make(
        self, epoch: int, row: int, numbers: Numbers, drawn: Draw, room: Room, place: int
    ) -> Fault | None:
        out = room.images[place]
        try:
            finished = None if self._finished is None else self._finished.finished(row, epoch)
            kept = None if self._kept is None else self._kept(row, self)
            if finished is not None:
                shown, then = self._again(finished, numbers, drawn, out)
            elif kept is not None:
                shown, then = self._from_kept(kept, numbers, drawn, out)
            else:
                with stage("read"):
                    data = self._source.read(row)
                shown, then = self.picture(data, numbers, drawn, out)
                if self._finished is not None:
                    self._finished.finish(row, epoch, Kept(out, shown.sides))
            self.follow(row, shown, then, room, place)
        except Exception as error:  # whatever it is, it is this image's; what ends the process is none
            fault = Fault(self._source.name(row), reason_of(error))
            if self._recipe.on_error != "raise":
                return fault
            if isinstance(error, IMAGE_ERRORS):
                raise raised(fault) from error
            raise
        return None

    def picture(self, data: bytes, numbers: Numbers, drawn: Draw, out: Pixels) -> tuple[Shown, Draw]:
        """One picture from its bytes into `out`; what of it is shown, and what was drawn on top of that."""
        mirror, then = mirrored_on_the_way(drawn)
        with image_errors(data):
            shown = self._decode_fast(data, numbers, mirror, out) or self._decode_plainly(
                data, numbers, mirror, out
            )
        _augment(then, out)
        return shown, then

    def follow(self, row: int, shown: Shown, then: Draw, room: Room, place: int) -> None:
        """Say how the picture was moved, by its crop and then by what was drawn, and move its map.

        In two steps: what the crop left out does not come back where a turn shows what lies beyond it.
        """
        if room.moved is None and room.maps is None:
            return
        size = self._recipe.size
        steps = shown.forward, affine(then, size, size)
        if room.moved is not None and room.sizes is not None:
            room.moved[place] = [step[:2] for step in steps]
            room.sizes[place] = shown.sides
        if room.maps is not None and self._recipe.maps is not None:
            with stage("map"):
                found: Any = self._recipe.maps.of(self._source.name(row), *shown.sides)
                for step in steps:
                    if not is_nothing(step):
                        found = move_map(found, inverse(step), size, size, fill=0)
                room.maps[place] = found

    def to_keep(self, data: bytes, side: int, room_bytes: int) -> Kept:
        """What a cache keeps of a picture: as it is shown, or for random crops all of it, at `side`."""
        if self._recipe.crop != "random":
            out = np.empty((self._recipe.size, self._recipe.size, 3), np.uint8)
            shown, _ = self.picture(data, _NO_NUMBERS, NOTHING_DRAWN, out)
            return Kept(out, shown.sides)
        with image_errors(data):
            return self._whole_to_keep(data, side, room_bytes)

    def _whole_to_keep(self, data: bytes, side: int, room_bytes: int) -> Kept:
        header = read_header(data) if self._windows else None
        pixels = None
        if header is None or not header.is_plain:
            pixels = (self._decode or decoder("auto"))(data)
            width, height = pixels.shape[1], pixels.shape[0]
        else:
            width, height = header.width, header.height
        scale = min(side / min(width, height), (room_bytes / (3 * width * height)) ** 0.5)
        full = (max(1, int(width * scale)), max(1, int(height * scale)))
        window = crops.Window((0, 0, width, height), full, (0, 0), full)
        kept = np.empty((full[1], full[0], 3), np.uint8)
        reader = self._windows if pixels is None else None
        if reader is not None and reader.read(data, window, (width, height), kept, self._eighths(window)):
            return Kept(kept, (width, height))
        self._show((self._decode or decoder("pillow"))(data) if pixels is None else pixels, window, kept)
        return Kept(kept, (width, height))

    def _eighths(self, window: crops.Window) -> int:
        return crops.eighths(window) if self._recipe.reduce else 8

    def _from_kept(self, kept: Kept, numbers: Numbers, drawn: Draw, out: Pixels) -> tuple[Shown, Draw]:
        """Show a decoded picture; what of it is shown, and what was drawn on top of that."""
        if self._recipe.crop != "random":
            out[:] = kept.pixels
            shown = self._shown_again(kept.sides, numbers)
        else:
            mirror, drawn = mirrored_on_the_way(drawn)
            height, width = kept.pixels.shape[:2]
            shown = Shown(kept.sides, self.window(width, height, numbers, mirror), (width, height))
            with stage("resize"):
                self._show(kept.pixels, shown.window, out)
        _augment(drawn, out)
        return shown, drawn

    def _again(self, finished: Kept, numbers: Numbers, drawn: Draw, out: Pixels) -> tuple[Shown, Draw]:
        """Show a finished picture, which was made by the same numbers."""
        out[:] = finished.pixels
        mirror, then = mirrored_on_the_way(drawn)
        return self._shown_again(finished.sides, numbers, mirror), then

    def _shown_again(self, sides: Sides, numbers: Numbers, mirror: bool = False) -> Shown:
        """What is in the pixels already; worked out only where labels or maps are to follow."""
        follows = self._recipe.places or self._recipe.maps is not None
        return Shown(sides, self.window(*sides, numbers, mirror) if follows else _NO_WINDOW)

    def _show(self, pixels: Pixels, window: crops.Window, out: Pixels) -> None:
        if self._windows is None:
            show(pixels, window, out)
        else:
            self._windows.show(np.ascontiguousarray(pixels), window, out)

    def _decode_fast(self, data: bytes, numbers: Numbers, mirror: bool, out: Pixels) -> Shown | None:
        if self._windows is None:
            return None
        header = read_header(data)
        if header is None or not header.is_plain:
            return None
        sides = header.width, header.height
        window = self.window(*sides, numbers, mirror)
        with stage("decode"):
            is_read = self._windows.read(data, window, sides, out, self._eighths(window))
        return Shown(sides, window) if is_read else None

    def _decode_plainly(self, data: bytes, numbers: Numbers, mirror: bool, out: Pixels) -> Shown:
        with stage("decode"):
            decode = self._decode or decoder("pillow" if self._windows else "auto")
            pixels = decode(data)
        height, width = pixels.shape[:2]
        window = self.window(width, height, numbers, mirror)
        with stage("resize"):
            show(pixels, window, out)
        return Shown((width, height), window)

    def window(self, width: int, height: int, numbers: Numbers, mirror: bool = False) -> crops.Window:
        """What is shown of a picture of this size."""
        size = self._recipe.size
        if self._recipe.crop == "random":
            window = crops.random_resized(width, height, size, numbers)
        else:
            law = crops.centre if self._recipe.crop == "centre" else crops.whole
            window = law(width, height, size)
        if not mirror:
            return window
        return crops.Window(window.box, window.full, window.at, window.size, mirror=True)

    def _mend(self, fault: Fault, epoch: int, row: int, room: Room, place: int, faults: list[Fault]) -> None:
        """Do as the policy says: another image in its place, a grey one, or none."""
        recipe = self._recipe
        if recipe.on_error == "substitute":
            _show_nothing(room, place)
            return
        if not recipe.refill:
            room.rows[place] = NOTHING
            return
        # Which picture comes instead depends on the row and the epoch alone, as everything else does.
        others = np.random.default_rng([recipe.seed, epoch, row]).integers(0, len(self._source), _REFILLS)
        for other in others:
            rows = np.array([other])
            numbers, drawn = self.chance(epoch, rows)
            again = self._make(epoch, int(other), numbers[0], drawn[0], room, place)
            if again is None:
                room.rows[place], room.labels[place] = other, self._source.labels[other]
                return
            faults.append(again)
        raise DataError(f"{fault}; and {_REFILLS} others drawn in its place could not be read either")


def _show_nothing(room: Room, place: int) -> None:
    """Grey, and every object of the picture on one point, so that none is left of them."""
    room.images[place] = GREY
    if room.moved is not None and room.sizes is not None:
        room.moved[place], room.sizes[place] = 0, 0
    if room.maps is not None:
        room.maps[place] = 0


_NO_NUMBERS = np.empty(0)
_NO_WINDOW = crops.Window((0, 0, 1, 1), (1, 1), (0, 0), (1, 1))


def _augment(drawn: Draw, out: Pixels) -> None:
    if drawn is not NOTHING_DRAWN and drawn != NOTHING_DRAWN:
        with stage("augment"):
            out[:] = apply(drawn, out)


def show(pixels: Pixels, window: crops.Window, out: Pixels) -> None:
    """The window of pixels that are already decoded, by Pillow's resize: the reference for the fast way."""
    left, top, width, height = window.box
    image = Image.fromarray(pixels[top : top + height, left : left + width])
    if window.full == window.size:
        image = image.resize(window.size, Image.Resampling.BILINEAR)
    else:
        # Resizing a box of the source to the part that is kept gives the same pixels as cropping afterwards.
        across, down = width / window.full[0], height / window.full[1]
        x, y = window.at
        box = (x * across, y * down, (x + window.size[0]) * across, (y + window.size[1]) * down)
        image = image.resize(window.size, Image.Resampling.BILINEAR, box=box)
    shown = np.asarray(image)
    out[:] = shown[:, ::-1] if window.mirror else shown
