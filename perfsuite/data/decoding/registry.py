"""From a file's bytes to RGB pixels (uint8, height x width x 3), by whichever decoder is named.

Pillow is the measure of right: what a fast decoder cannot or should not read (CMYK, 16 bit, PNG, a file that
is damaged) goes through it, so that every decoder obeys one law.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from perfsuite.data.decoding.jpeg_header import JpegHeader, read_jpeg_header
from perfsuite.data.faults import reason_of
from perfsuite.data.image_file import is_within_pixel_limit, open_image
from perfsuite.errors import DataError

Pixels = NDArray[np.uint8]
DecodeFunction = Callable[[bytes], Pixels]

EXIF_ORIENTATION = 0x0112
END_OF_IMAGE = b"\xff\xd9"
IMAGE_READ_MODE_RGB = 3  # torchvision.io.ImageReadMode.RGB


def decode_with_pillow(data: bytes) -> Pixels:
    """Decode any of perfsuite.data.image_file.FORMATS, to RGB and upright (EXIF)."""
    with image_errors(data), open_image(io.BytesIO(data)) as image:
        return np.array(to_upright_rgb(image))


@contextmanager
def image_errors(data: bytes) -> Iterator[None]:
    """Turn any error of decoding these bytes into a DataError that describes them.

    Damaged bytes make decoders raise nearly anything: TypeError, struct.error, MemoryError, IndexError.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{_describe_bytes(data)} of {len(data):,} bytes: {reason_of(error)}") from error


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """The law for color: gray is repeated, alpha dropped, 16 bit keeps its upper 8, EXIF is obeyed."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


def fall_back_to_pillow(
    *stumbles: type[Exception], must_end: bool = False
) -> Callable[[DecodeFunction], DecodeFunction]:
    """A fast decoder for plain JPEGs; Pillow has the rest, and what raises one of `stumbles`.

    `must_end`: of a JPEG that was cut off it shows the upper part and says nothing, so it gets whole ones.
    """

    def trusted(fast: DecodeFunction) -> DecodeFunction:
        @wraps(fast)
        def decode(data: bytes) -> Pixels:
            header = read_jpeg_header(data)
            # A size beyond the limit goes to Pillow as well, which refuses it by the same rule.
            is_plain = header is not None and _is_for_fast_decoders(header)
            if is_plain and (not must_end or END_OF_IMAGE in data[-64:]):
                with image_errors(data), suppress(*stumbles):
                    return fast(data)
            return decode_with_pillow(data)

        return decode

    return trusted


@fall_back_to_pillow(ValueError)
def decode_with_simplejpeg(data: bytes) -> Pixels:
    import simplejpeg

    pixels: Pixels = simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False, strict=True)
    return pixels


@fall_back_to_pillow(RuntimeError)
def decode_with_torchvision(data: bytes) -> Pixels:
    import torch
    import torchvision.io  # noqa: F401 - registers torch.ops.image

    # The operator itself, because the function around it warns on every call since torchvision 0.29.
    # A copy, because torch wants writable memory, and bytes are not.
    image = torch.ops.image.decode_jpeg(
        torch.frombuffer(bytearray(data), dtype=torch.uint8), IMAGE_READ_MODE_RGB, False
    )
    return _to_height_width_channels(image)


@fall_back_to_pillow(RuntimeError, must_end=True)
def decode_with_torchcodec(data: bytes) -> Pixels:
    from torchcodec.decoders import decode_jpeg

    return _to_height_width_channels(decode_jpeg(bytearray(data)))


@fall_back_to_pillow(ValueError, must_end=True)
def decode_with_opencv(data: bytes) -> Pixels:
    import cv2

    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("OpenCV does not say why")
    upright: Pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return upright


@fall_back_to_pillow(OSError, must_end=True)
def decode_with_turbojpeg(data: bytes) -> Pixels:
    """Through the system's libturbojpeg."""
    from turbojpeg import TJPF_RGB

    pixels: Pixels = _load_turbojpeg().decode(data, pixel_format=TJPF_RGB)
    return pixels


def _to_height_width_channels(image: Any) -> Pixels:
    """A tensor of channels x height x width as pixels."""
    pixels: Pixels = image.permute(1, 2, 0).contiguous().numpy()
    return pixels


@cache
def _load_turbojpeg() -> Any:
    from turbojpeg import TurboJPEG

    return TurboJPEG()


DECODERS: dict[str, DecodeFunction] = {
    "pillow": decode_with_pillow,
    "simplejpeg": decode_with_simplejpeg,
    "torchvision": decode_with_torchvision,
    "torchcodec": decode_with_torchcodec,
    "opencv": decode_with_opencv,
    "turbojpeg": decode_with_turbojpeg,
}
IMPORT_NAMES = {"pillow": "PIL", "opencv": "cv2"}  # where the name is another


def available_decoders() -> tuple[str, ...]:
    """The decoders whose library is installed, Pillow first."""
    return tuple(name for name in DECODERS if _is_installed(name))


def _is_installed(name: str) -> bool:
    is_there = find_spec(IMPORT_NAMES.get(name, name)) is not None
    return is_there and (name != "turbojpeg" or _has_turbojpeg())


@cache
def _has_turbojpeg() -> bool:
    """Whether the system's library is there, and new enough for Python's part."""
    try:
        _load_turbojpeg()
    except (OSError, RuntimeError):
        return False
    return True


def get_decoder(name: str = "auto") -> DecodeFunction:
    """The decoder of that name; `auto` is the fastest one here (perfsuite.data.decoding.auto).

    >>> get_decoder("pillow") is decode_with_pillow
    True
    """
    if name == "auto":
        from perfsuite.data.decoding.auto import choose_decoder

        return DECODERS[choose_decoder()]
    if name not in DECODERS:
        raise ValueError(f"decoder: {name!r}, expected auto or one of {', '.join(DECODERS)}")
    if not _is_installed(name):
        raise DataError(
            f"decoder: {name} is not installed, expected one of {', '.join(available_decoders())}; "
            "simplejpeg comes "
            "with perfsuite[fast], torchcodec and turbojpeg with perfsuite[decoders]"
        )
    return DECODERS[name]


def _is_for_fast_decoders(header: JpegHeader) -> bool:
    """1 or 3 channels of 8 bits, within the pixel limit; what has EXIF goes to Pillow, which obeys it."""
    is_simple = header.bits == 8 and header.components in (1, 3) and not header.has_exif
    return is_simple and is_within_pixel_limit(header.width, header.height)


def _describe_bytes(data: bytes) -> str:
    if not data:
        return "an empty file"
    return "JPEG" if data[:2] == b"\xff\xd8" else "a file"
