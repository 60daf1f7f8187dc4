"""Make one image of a batch from a row of a source: read, decode, crop, resize, augment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.batch import BatchView
from perfsuite.data.cache.protocol import AugmentedImageCache, DecodedImageCache
from perfsuite.data.cache.storage import CachedImage
from perfsuite.data.crop import CropGeometry, CropWindow, ImageSize, Uniforms
from perfsuite.data.crop_decoder import CropDecoder
from perfsuite.data.decoding.decoder import Pixels, image_errors
from perfsuite.data.faults import IMAGE_ERRORS, Fault, fault_error, name_row, reason_of
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sample_rng import (
    IDENTITY_PARAMETERS,
    crop_uniforms,
    fold_mirror_into_resize,
    iterate_parameters,
)
from perfsuite.data.sources.base import ImageSource, read_row
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.transforms.arrays import GRAY_FILL
from perfsuite.transforms.augment.cpu import augment_image
from perfsuite.transforms.augment.parameters import (
    AugmentationParameters,
    BatchParameters,
    draw_batch_parameters,
)
from perfsuite.transforms.geometry import invert_affine, is_identity
from perfsuite.transforms.labels.maps import warp_map

_MAX_REFILLS = 20
_NO_UNIFORMS = np.empty(0)
_UNUSED_WINDOW = CropWindow((0, 0, 1, 1), (1, 1), (0, 0), (1, 1))


class ImageMaker:
    """Makes images for one thread, and owns the buffers that decoding needs."""

    def __init__(
        self,
        source: ImageSource,
        image_config: ImageConfig,
        current_row: NDArray[np.int64] | None = None,
    ) -> None:
        """`current_row`, one element, is set to the row of each image before it is made."""
        self._source, self._current_row = source, current_row
        self._config = image_config
        self._crop_decoder = CropDecoder(image_config)
        self._decoded_cache = source if isinstance(source, DecodedImageCache) else None
        self._augmented_cache = source if isinstance(source, AugmentedImageCache) else None
        if self._decoded_cache is not None:
            image_config.check_decoded_cache(self._decoded_cache.image_config)
        if self._augmented_cache is not None:
            image_config.check_augmented_cache(self._augmented_cache.image_config)

    def fill(self, epoch: int, rows: NDArray[np.int64], view: BatchView) -> tuple[Fault, ...]:
        """Fill the view with these rows, a pure function of epoch and rows; return what could not be read."""
        if self._augmented_cache is not None:
            epoch %= self._augmented_cache.epochs
        uniforms, image_parameters = self.random_parameters(epoch, rows)
        view.rows[:], view.labels[:] = rows, self._source.labels[rows]
        faults: list[Fault] = []
        # Python's numbers from here on: numpy's scalars take longer.
        for position, (row, row_uniforms, parameters) in enumerate(
            zip(rows.tolist(), uniforms.tolist(), iterate_parameters(image_parameters), strict=True)
        ):
            fault = self._make(epoch, row, row_uniforms, parameters, view, position)
            if fault is not None:
                faults.append(fault)
                self._handle_fault(fault, epoch, row, view, position, faults)
        return tuple(faults)

    def random_parameters(
        self, epoch: int, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], BatchParameters]:
        """The crop's uniform numbers and the augmentation parameters of these rows."""
        config = self._config
        with stage("random numbers"):
            parameters = draw_batch_parameters(config.mode, config.seed, epoch, rows)
            return crop_uniforms(config, epoch, rows), parameters

    def _make(
        self,
        epoch: int,
        row: int,
        uniforms: Uniforms,
        parameters: AugmentationParameters,
        view: BatchView,
        position: int,
    ) -> Fault | None:
        """Make one image, from a cache where it is cached; return the fault, or raise it by the policy."""
        if self._current_row is not None:
            self._current_row[0] = row
        try:
            geometry, remaining = self._make_pixels(epoch, row, uniforms, parameters, view.images[position])
            self.record_geometry(row, geometry, remaining, view, position)
        except Exception as error:  # any of them belongs to this image; a BaseException ends the process
            fault = Fault(name_row(self._source, row), reason_of(error))
            if self._config.on_error != "raise":
                return fault
            if isinstance(error, IMAGE_ERRORS):
                raise fault_error(fault) from error
            raise
        return None

    def _make_pixels(
        self, epoch: int, row: int, uniforms: Uniforms, parameters: AugmentationParameters, out: Pixels
    ) -> tuple[CropGeometry, AugmentationParameters]:
        augmented = None if self._augmented_cache is None else self._augmented_cache.get_augmented(row, epoch)
        decoded = None if self._decoded_cache is None else self._decoded_cache.get_decoded(row, self)
        if augmented is not None:
            return self._from_augmented(augmented, uniforms, parameters, out)
        if decoded is not None:
            return self._from_decoded(decoded, uniforms, parameters, out)
        with stage("read"):
            data = read_row(self._source, row)
        geometry, remaining = self.make_from_bytes(data, uniforms, parameters, out)
        if self._augmented_cache is not None:
            self._augmented_cache.put_augmented(row, epoch, CachedImage(out, geometry.original_size))
        return geometry, remaining

    def make_from_bytes(
        self, data: bytes, uniforms: Uniforms, parameters: AugmentationParameters, out: Pixels
    ) -> tuple[CropGeometry, AugmentationParameters]:
        """Make one image from its bytes; return the crop, and the parameters applied after it.

        The crop includes the mirror where the resize does it.
        """
        mirror, remaining = fold_mirror_into_resize(parameters)
        with image_errors(data):
            geometry = self._crop_decoder.decode(data, uniforms, mirror, out)
        _augment(remaining, out)
        return geometry, remaining

    def record_geometry(
        self,
        row: int,
        geometry: CropGeometry,
        parameters: AugmentationParameters,
        view: BatchView,
        position: int,
    ) -> None:
        """Store the image's affine maps, by its crop and then by its parameters, and warp its label map.

        The two steps stay apart: an object outside of the crop must not reappear where a rotation shows
        what lies beyond the crop's edge.
        """
        if view.affines is None and view.maps is None:
            return
        size = self._config.size
        steps = geometry.forward, parameters.affine.affine_matrix(size, size)
        if view.affines is not None and view.original_sizes is not None:
            view.affines[position] = [step[:2] for step in steps]
            view.original_sizes[position] = geometry.original_size
        if view.maps is not None and view.map_origins is not None and self._config.maps is not None:
            with stage("map"):
                values: Any
                values, origin = self._config.maps.get_map(self._source.name(row), *geometry.original_size)
                for step in steps:
                    if not is_identity(step):
                        values = warp_map(values, invert_affine(step), size, size, fill=0)
                view.maps[position], view.map_origins[position] = values, origin

    def prepare_for_cache(self, data: bytes, shorter_side: int, slot_bytes: int) -> CachedImage:
        """Decode an image for a cache: the crop, or for random crops the whole image at `shorter_side`."""
        if self._config.crop != "random":
            out = np.empty((self._config.size, self._config.size, 3), np.uint8)
            geometry, _ = self.make_from_bytes(data, _NO_UNIFORMS, IDENTITY_PARAMETERS, out)
            return CachedImage(out, geometry.original_size)
        with image_errors(data):
            return self._crop_decoder.decode_resized(data, shorter_side, slot_bytes)

    def _from_decoded(
        self, cached: CachedImage, uniforms: Uniforms, parameters: AugmentationParameters, out: Pixels
    ) -> tuple[CropGeometry, AugmentationParameters]:
        """Crop and augment a decoded image; return the crop, and the parameters applied after it."""
        if self._config.crop != "random":
            out[:] = cached.pixels
            geometry, remaining = self._geometry_of_cached(cached.original_size, uniforms), parameters
        else:
            mirror, remaining = fold_mirror_into_resize(parameters)
            height, width = cached.pixels.shape[:2]
            window = self.window(width, height, uniforms, mirror)
            geometry = CropGeometry(cached.original_size, window, (width, height))
            with stage("resize"):
                self._crop_decoder.resize(cached.pixels, window, out)
        _augment(remaining, out)
        return geometry, remaining

    def _from_augmented(
        self, cached: CachedImage, uniforms: Uniforms, parameters: AugmentationParameters, out: Pixels
    ) -> tuple[CropGeometry, AugmentationParameters]:
        """Copy an augmented image, which was made with the same random parameters."""
        out[:] = cached.pixels
        mirror, remaining = fold_mirror_into_resize(parameters)
        return self._geometry_of_cached(cached.original_size, uniforms, mirror), remaining

    def _geometry_of_cached(self, size: ImageSize, uniforms: Uniforms, mirror: bool = False) -> CropGeometry:
        """The crop that the cached pixels have already; computed only if labels or maps need it."""
        is_needed = self._config.with_geometry or self._config.maps is not None
        return CropGeometry(size, self.window(*size, uniforms, mirror) if is_needed else _UNUSED_WINDOW)

    def window(self, width: int, height: int, uniforms: Uniforms, mirror: bool = False) -> CropWindow:
        """The crop of an image of this size."""
        return self._crop_decoder.window(width, height, uniforms, mirror)

    def _handle_fault(
        self, fault: Fault, epoch: int, row: int, view: BatchView, position: int, faults: list[Fault]
    ) -> None:
        """Apply the policy: substitute gray, leave the position out, or refill it with another image."""
        config = self._config
        if config.on_error == "substitute":
            view.substitute(position, GRAY_FILL)
            return
        if not config.refill:
            view.skip(position)
            return
        # The replacement depends on seed, epoch and row alone, like everything else.
        rng = np.random.default_rng([config.seed, epoch, row])
        for other in rng.integers(0, len(self._source), _MAX_REFILLS):
            uniforms, image_parameters = self.random_parameters(epoch, np.array([other]))
            other_fault = self._make(epoch, int(other), uniforms[0], image_parameters[0], view, position)
            if other_fault is None:
                view.rows[position], view.labels[position] = other, self._source.labels[other]
                return
            faults.append(other_fault)
        raise DataError(
            f"{fault}; {_MAX_REFILLS} other images drawn to replace it could not be read either; "
            "check the data set"
        )


def _augment(parameters: AugmentationParameters, out: Pixels) -> None:
    if parameters is not IDENTITY_PARAMETERS and parameters != IDENTITY_PARAMETERS:
        with stage("augment"):
            augmented = augment_image(parameters, out)
        with stage("collate"):
            out[:] = augmented
