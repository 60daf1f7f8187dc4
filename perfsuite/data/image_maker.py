"""From a row of a source to pixels in a batch: read, decode, crop, resize, augment; or what was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perfsuite.data import crop
from perfsuite.data.batch import SKIPPED_ROW, BatchView
from perfsuite.data.cache.storage import CachedImage
from perfsuite.data.decoding import region
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.registry import get_decoder, image_errors
from perfsuite.data.faults import IMAGE_ERRORS, Fault, fault_error, reason_of
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sample_rng import IDENTITY_DRAW, crop_uniforms, fold_mirror_into_resize, iterate_draws
from perfsuite.data.sources.files import ImageSource
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms.arrays import GRAY_FILL
from perfsuite.transforms.augment.cpu import augment_image
from perfsuite.transforms.augment.draws import Draw, Draws, draws
from perfsuite.transforms.geometry import invert_affine, is_identity
from perfsuite.transforms.labels.maps import warp_map

Pixels = NDArray[np.uint8]
Uniforms = crop.Uniforms
Matrix = NDArray[np.float64]
ImageSize = tuple[int, int]  # width and height of the image as it is stored
_MAX_REFILLS = 20


@dataclass(frozen=True, slots=True)
class CropGeometry:
    """What was seen of an image: a window of it, or of a kept one of another size."""

    original_size: ImageSize
    window: crop.CropWindow
    cached_size: ImageSize | None = None

    @property
    def forward(self) -> Matrix:
        """Where a point of the image went."""
        forward = crop.forward_matrix(self.window)
        if self.cached_size is None:
            return forward
        return forward @ np.diag(
            (self.cached_size[0] / self.original_size[0], self.cached_size[1] / self.original_size[1], 1.0)
        )


class ImageMaker:
    """Makes images for one thread: it keeps the buffers that decoding needs."""

    def __init__(self, source: ImageSource, recipe: ImageConfig) -> None:
        self._source = source
        self._image_config = recipe
        self._decode = None if recipe.decoder == "auto" else get_decoder(recipe.decoder)
        fast = self._decode is None and region.is_available()
        self._region_decoder = region.RegionDecoder() if fast else None
        # A cache has decoded or finished images to offer (perfsuite.data.cache.cached_source).
        self._get_decoded = getattr(source, "decoded", None)
        self._augmented_cache = cast("Any", source) if hasattr(source, "finished") else None
        if hasattr(source, "recipe"):
            recipe.check_cache_compatible(source.recipe, finished=self._augmented_cache is not None)

    def fill(self, epoch: int, rows: NDArray[np.int64], room: BatchView) -> tuple[Fault, ...]:
        """Fill the places with these rows, a pure function of epoch and rows; what could not be read."""
        if self._augmented_cache is not None:
            epoch %= self._augmented_cache.epochs
        numbers, drawn = self.random_parameters(epoch, rows)
        room.rows[:], room.labels[:] = rows, self._source.labels[rows]
        faults: list[Fault] = []
        # Plain numbers from here on: numpy's take longer, one by one.
        for place, (row, crop_numbers, then) in enumerate(
            zip(rows.tolist(), numbers.tolist(), iterate_draws(drawn), strict=True)
        ):
            fault = self._make(epoch, row, crop_numbers, then, room, place)
            if fault is not None:
                faults.append(fault)
                self._handle_fault(fault, epoch, row, room, place, faults)
        return tuple(faults)

    def random_parameters(self, epoch: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], Draws]:
        """What decides where these rows are cropped, and what is drawn for them."""
        recipe = self._image_config
        return crop_uniforms(recipe, epoch, rows), draws(recipe.mode, recipe.seed, epoch, rows)

    def _make(
        self, epoch: int, row: int, numbers: Uniforms, drawn: Draw, room: BatchView, place: int
    ) -> Fault | None:
        out = room.images[place]
        try:
            finished = None if self._augmented_cache is None else self._augmented_cache.finished(row, epoch)
            kept = None if self._get_decoded is None else self._get_decoded(row, self)
            if finished is not None:
                shown, then = self._from_augmented(finished, numbers, drawn, out)
            elif kept is not None:
                shown, then = self._from_decoded(kept, numbers, drawn, out)
            else:
                with stage("read"):
                    data = self._source.read(row)
                shown, then = self.make_from_bytes(data, numbers, drawn, out)
                if self._augmented_cache is not None:
                    self._augmented_cache.finish(row, epoch, CachedImage(out, shown.original_size))
            self.record_geometry(row, shown, then, room, place)
        except Exception as error:  # whatever it is, it is this image's; what ends the process is none
            fault = Fault(self._source.name(row), reason_of(error))
            if self._image_config.on_error != "raise":
                return fault
            if isinstance(error, IMAGE_ERRORS):
                raise fault_error(fault) from error
            raise
        return None

    def make_from_bytes(
        self, data: bytes, numbers: Uniforms, drawn: Draw, out: Pixels
    ) -> tuple[CropGeometry, Draw]:
        """One image from its bytes into `out`; what of it is shown, and what was drawn on top of that."""
        mirror, then = fold_mirror_into_resize(drawn)
        with image_errors(data):
            shown = self._decode_region(data, numbers, mirror, out) or self._decode_whole(
                data, numbers, mirror, out
            )
        _augment(then, out)
        return shown, then

    def record_geometry(self, row: int, shown: CropGeometry, then: Draw, room: BatchView, place: int) -> None:
        """Say how the image was moved, by its crop and then by what was drawn, and move its map.

        In two steps: what the crop left out does not come back where a turn shows what lies beyond it.
        """
        if room.affines is None and room.maps is None:
            return
        size = self._image_config.size
        steps = shown.forward, then.pose.affine_matrix(size, size)
        if room.affines is not None and room.original_sizes is not None:
            room.affines[place] = [step[:2] for step in steps]
            room.original_sizes[place] = shown.original_size
        if room.maps is not None and self._image_config.maps is not None:
            with stage("map"):
                found: Any = self._image_config.maps.get_map(self._source.name(row), *shown.original_size)
                for step in steps:
                    if not is_identity(step):
                        found = warp_map(found, invert_affine(step), size, size, fill=0)
                room.maps[place] = found

    def prepare_for_cache(self, data: bytes, side: int, room_bytes: int) -> CachedImage:
        """What a cache keeps of an image: as it is shown, or for random crops all of it, at `side`."""
        if self._image_config.crop != "random":
            out = np.empty((self._image_config.size, self._image_config.size, 3), np.uint8)
            shown, _ = self.make_from_bytes(data, _NO_UNIFORMS, IDENTITY_DRAW, out)
            return CachedImage(out, shown.original_size)
        with image_errors(data):
            return self._whole_to_keep(data, side, room_bytes)

    def _whole_to_keep(self, data: bytes, side: int, room_bytes: int) -> CachedImage:
        header = read_jpeg_header(data) if self._region_decoder else None
        pixels = None
        if header is None or not header.is_plain:
            pixels = (self._decode or get_decoder("auto"))(data)
            width, height = pixels.shape[1], pixels.shape[0]
        else:
            width, height = header.width, header.height
        scale = min(side / min(width, height), (room_bytes / (3 * width * height)) ** 0.5)
        full = (max(1, int(width * scale)), max(1, int(height * scale)))
        window = crop.CropWindow((0, 0, width, height), full, (0, 0), full)
        kept = np.empty((full[1], full[0], 3), np.uint8)
        reader = self._region_decoder if pixels is None else None
        if reader is not None and reader.read(
            data, window, (width, height), kept, self._scale_eighths(window)
        ):
            return CachedImage(kept, (width, height))
        self._resize(
            (self._decode or get_decoder("pillow"))(data) if pixels is None else pixels, window, kept
        )
        return CachedImage(kept, (width, height))

    def _scale_eighths(self, window: crop.CropWindow) -> int:
        return crop.scale_eighths(window) if self._image_config.reduce else 8

    def _from_decoded(
        self, kept: CachedImage, numbers: Uniforms, drawn: Draw, out: Pixels
    ) -> tuple[CropGeometry, Draw]:
        """Show a decoded image; what of it is shown, and what was drawn on top of that."""
        if self._image_config.crop != "random":
            out[:] = kept.pixels
            shown = self._geometry_of_cached(kept.original_size, numbers)
        else:
            mirror, drawn = fold_mirror_into_resize(drawn)
            height, width = kept.pixels.shape[:2]
            shown = CropGeometry(
                kept.original_size, self.window(width, height, numbers, mirror), (width, height)
            )
            with stage("resize"):
                self._resize(kept.pixels, shown.window, out)
        _augment(drawn, out)
        return shown, drawn

    def _from_augmented(
        self, finished: CachedImage, numbers: Uniforms, drawn: Draw, out: Pixels
    ) -> tuple[CropGeometry, Draw]:
        """Show a finished image, which was made by the same numbers."""
        out[:] = finished.pixels
        mirror, then = fold_mirror_into_resize(drawn)
        return self._geometry_of_cached(finished.original_size, numbers, mirror), then

    def _geometry_of_cached(self, sides: ImageSize, numbers: Uniforms, mirror: bool = False) -> CropGeometry:
        """What is in the pixels already; worked out only where labels or maps are to follow."""
        follows = self._image_config.with_geometry or self._image_config.maps is not None
        return CropGeometry(sides, self.window(*sides, numbers, mirror) if follows else _NO_WINDOW)

    def _resize(self, pixels: Pixels, window: crop.CropWindow, out: Pixels) -> None:
        if self._region_decoder is None:
            resize_with_pillow(pixels, window, out)
        else:
            self._region_decoder.resize(np.ascontiguousarray(pixels), window, out)

    def _decode_region(
        self, data: bytes, numbers: Uniforms, mirror: bool, out: Pixels
    ) -> CropGeometry | None:
        if self._region_decoder is None:
            return None
        header = read_jpeg_header(data)
        if header is None or not header.is_plain:
            return None
        sides = header.width, header.height
        window = self.window(*sides, numbers, mirror)
        with stage("decode"):
            is_read = self._region_decoder.read(data, window, sides, out, self._scale_eighths(window))
        return CropGeometry(sides, window) if is_read else None

    def _decode_whole(self, data: bytes, numbers: Uniforms, mirror: bool, out: Pixels) -> CropGeometry:
        with stage("decode"):
            decode = self._decode or get_decoder("pillow" if self._region_decoder else "auto")
            pixels = decode(data)
        height, width = pixels.shape[:2]
        window = self.window(width, height, numbers, mirror)
        with stage("resize"):
            resize_with_pillow(pixels, window, out)
        return CropGeometry((width, height), window)

    def window(self, width: int, height: int, numbers: Uniforms, mirror: bool = False) -> crop.CropWindow:
        """What is shown of an image of this size."""
        size = self._image_config.size
        if self._image_config.crop == "random":
            window = crop.random_resized_crop(width, height, size, numbers)
        else:
            law = crop.center_crop if self._image_config.crop == "center" else crop.stretch_to_square
            window = law(width, height, size)
        if not mirror:
            return window
        return crop.CropWindow(window.box, window.resized_size, window.offset, window.size, mirror=True)

    def _handle_fault(
        self, fault: Fault, epoch: int, row: int, room: BatchView, place: int, faults: list[Fault]
    ) -> None:
        """Do as the policy says: another image in its place, a gray one, or none."""
        recipe = self._image_config
        if recipe.on_error == "substitute":
            _fill_gray(room, place)
            return
        if not recipe.refill:
            room.rows[place] = SKIPPED_ROW
            return
        # Which image comes instead depends on the row and the epoch alone, as everything else does.
        others = np.random.default_rng([recipe.seed, epoch, row]).integers(0, len(self._source), _MAX_REFILLS)
        for other in others:
            rows = np.array([other])
            numbers, drawn = self.random_parameters(epoch, rows)
            again = self._make(epoch, int(other), numbers[0], drawn[0], room, place)
            if again is None:
                room.rows[place], room.labels[place] = other, self._source.labels[other]
                return
            faults.append(again)
        raise DataError(f"{fault}; and {_MAX_REFILLS} others drawn in its place could not be read either")


def _fill_gray(room: BatchView, place: int) -> None:
    """Gray, and every object of the image on one point, so that none is left of them."""
    room.images[place] = GRAY_FILL
    if room.affines is not None and room.original_sizes is not None:
        room.affines[place], room.original_sizes[place] = 0, 0
    if room.maps is not None:
        room.maps[place] = 0


_NO_UNIFORMS = np.empty(0)
_NO_WINDOW = crop.CropWindow((0, 0, 1, 1), (1, 1), (0, 0), (1, 1))


def _augment(drawn: Draw, out: Pixels) -> None:
    if drawn is not IDENTITY_DRAW and drawn != IDENTITY_DRAW:
        with stage("augment"):
            out[:] = augment_image(drawn, out)


def resize_with_pillow(pixels: Pixels, window: crop.CropWindow, out: Pixels) -> None:
    """The window of pixels that are already decoded, by Pillow's resize: the reference for the fast way."""
    left, top, width, height = window.box
    image = Image.fromarray(pixels[top : top + height, left : left + width])
    if window.resized_size == window.size:
        image = image.resize(window.size, Image.Resampling.BILINEAR)
    else:
        # Resizing a box of the source to the part that is kept gives the same pixels as cropping afterward.
        across, down = width / window.resized_size[0], height / window.resized_size[1]
        x, y = window.offset
        box = (x * across, y * down, (x + window.size[0]) * across, (y + window.size[1]) * down)
        image = image.resize(window.size, Image.Resampling.BILINEAR, box=box)
    shown = np.asarray(image)
    out[:] = shown[:, ::-1] if window.mirror else shown
