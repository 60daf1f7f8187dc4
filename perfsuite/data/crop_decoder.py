"""Decode the crop of an image: only the part of the file that is needed, where the file allows it."""

from __future__ import annotations

import numpy as np

from perfsuite.data import crop
from perfsuite.data.cache.storage import CachedImage
from perfsuite.data.crop import CropGeometry, CropWindow, ImageSize, Uniforms
from perfsuite.data.decoding import region
from perfsuite.data.decoding.decoder import DecodeFunction, Pixels
from perfsuite.data.decoding.jpeg_header import JpegHeader, read_jpeg_header
from perfsuite.data.decoding.pillow_resize import resize_with_pillow
from perfsuite.data.decoding.registry import get_decoder
from perfsuite.data.image_config import ImageConfig
from perfsuite.stages import stage


class CropDecoder:
    """Decodes, crops and resizes by an ImageConfig, for one thread; owns the buffers that this needs."""

    def __init__(self, image_config: ImageConfig) -> None:
        self._config = image_config
        # None selects the region decoder, and `auto` or Pillow where it cannot decode.
        self._decode = None if image_config.decoder == "auto" else get_decoder(image_config.decoder)
        has_region_decoder = self._decode is None and region.is_available()
        self._region_decoder = region.RegionDecoder() if has_region_decoder else None

    def decode(self, data: bytes, uniforms: Uniforms, mirror: bool, out: Pixels) -> CropGeometry:
        """Decode the crop of a file into `out`, and return which part of the image it is."""
        return self._decode_region(data, uniforms, mirror, out) or self._decode_full(
            data, uniforms, mirror, out
        )

    def decode_resized(self, data: bytes, shorter_side: int, max_bytes: int) -> CachedImage:
        """Decode a full image, reduced to `shorter_side`, or further where `max_bytes` asks for it."""
        header = self._plain_header(data)
        if header is not None:
            size = header.width, header.height
            window, out = _reduction(size, shorter_side, max_bytes)
            if self._decode_window(data, size, window, out):
                return CachedImage(out, size)
        pixels = self._full_image_decoder()(data)
        size = pixels.shape[1], pixels.shape[0]
        window, out = _reduction(size, shorter_side, max_bytes)
        self.resize(pixels, window, out)
        return CachedImage(out, size)

    def resize(self, pixels: Pixels, window: CropWindow, out: Pixels) -> None:
        """Crop and resize decoded pixels into `out`."""
        if self._region_decoder is None:
            resize_with_pillow(pixels, window, out)
        else:
            self._region_decoder.resize(np.ascontiguousarray(pixels), window, out)

    def window(self, width: int, height: int, uniforms: Uniforms, mirror: bool = False) -> CropWindow:
        """The crop of an image of this size."""
        size = self._config.size
        if self._config.crop == "random":
            window = crop.random_resized_crop(width, height, size, uniforms)
        elif self._config.crop == "center":
            window = crop.center_crop(width, height, size)
        else:
            window = crop.stretch_to_square(width, height, size)
        if not mirror:
            return window
        # Not dataclasses.replace, which takes several times as long.
        return CropWindow(window.box, window.resized_size, window.offset, window.size, mirror=True)

    def _decode_region(
        self, data: bytes, uniforms: Uniforms, mirror: bool, out: Pixels
    ) -> CropGeometry | None:
        """Decode only the window; None where the region decoder cannot decode the file."""
        header = self._plain_header(data)
        if header is None:
            return None
        size = header.width, header.height
        window = self.window(*size, uniforms, mirror)
        with stage("decode"):
            is_decoded = self._decode_window(data, size, window, out)
        return CropGeometry(size, window) if is_decoded else None

    def _decode_full(self, data: bytes, uniforms: Uniforms, mirror: bool, out: Pixels) -> CropGeometry:
        with stage("decode"):
            pixels = self._full_image_decoder()(data)
        height, width = pixels.shape[:2]
        window = self.window(width, height, uniforms, mirror)
        with stage("resize"):
            resize_with_pillow(pixels, window, out)
        return CropGeometry((width, height), window)

    def _plain_header(self, data: bytes) -> JpegHeader | None:
        """The header of a JPEG that the region decoder may be able to decode."""
        header = read_jpeg_header(data) if self._region_decoder else None
        return header if header is not None and header.is_plain else None

    def _decode_window(self, data: bytes, size: ImageSize, window: CropWindow, out: Pixels) -> bool:
        if self._region_decoder is None:
            return False
        eighths = crop.scale_eighths(window) if self._config.scaled_decode else 8
        return self._region_decoder.decode(data, window, size, out, eighths)

    def _full_image_decoder(self) -> DecodeFunction:
        """The configured decoder. With a region decoder, Pillow: only it decodes what that refused."""
        return self._decode or get_decoder("pillow" if self._region_decoder else "auto")


def _reduction(size: ImageSize, shorter_side: int, max_bytes: int) -> tuple[CropWindow, Pixels]:
    """The window that reduces a full image, and an array for its pixels."""
    width, height = size
    scale = min(shorter_side / min(size), (max_bytes / (3 * width * height)) ** 0.5)
    resized = (max(1, int(width * scale)), max(1, int(height * scale)))
    return CropWindow((0, 0, width, height), resized, (0, 0), resized), np.empty(
        (*resized[::-1], 3), np.uint8
    )
