"""Which files are accepted as images: regular, of bounded size, of a known format, with bounded pixels.

A header of a few bytes can claim any size, and every decoder allocates what the header claims. So the size is
checked first, by one rule for all decoders: Pillow's.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

# The accepted suffixes, and the format of each.
FORMAT_OF_SUFFIX = {
    ".bmp": BmpImagePlugin.BmpImageFile.format,
    ".jpeg": JpegImagePlugin.JpegImageFile.format,
    ".jpg": JpegImagePlugin.JpegImageFile.format,
    ".png": PngImagePlugin.PngImageFile.format,
    ".tif": TiffImagePlugin.TiffImageFile.format,
    ".tiff": TiffImagePlugin.TiffImageFile.format,
    ".webp": WebPImagePlugin.WebPImageFile.format,
}
EXTENSIONS = tuple(FORMAT_OF_SUFFIX)
# A file of any of these formats may have any of these suffixes. GIF too: the web has many GIFs named .jpg.
FORMATS = tuple(sorted({*FORMAT_OF_SUFFIX.values(), GifImagePlugin.GifImageFile.format}))
# Larger than any image within the pixel limit: 179 million pixels of 4 bytes are 716 MB uncompressed.
MAX_FILE_BYTES = 1 << 30
_PREFIX_BYTES = 30  # enough for every format's signature, and for WebP's size


@contextmanager
def regular_file(path: str | Path) -> Iterator[int]:
    """Open a regular file and yield its descriptor; an OSError for a FIFO, a socket, a device or a folder.

    O_NONBLOCK, because opening a FIFO without a writer blocks. The type is checked after opening, so that the
    file cannot be replaced between the check and the open.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL, or a character that the file system's encoding lacks
        raise OSError(errno.EINVAL, f"not a valid file name ({error})") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a FIFO, a socket or a device, expected a regular file", str(path))
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: str | Path, offset: int = 0, length: int | None = None) -> bytes:
    """Read a regular file, or `length` bytes from `offset`; fewer if the file ends before.

    Reads at most the size that the file has when it is opened. More than MAX_FILE_BYTES is an error.
    """
    with regular_file(path) as descriptor:
        available = max(0, os.fstat(descriptor).st_size - offset)
        length = available if length is None else min(length, available)
        check_file_bytes(length)
        data = os.pread(descriptor, length, offset)
        while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
            data += more
    return data


def check_file_bytes(length: int) -> None:
    """Raise an OSError for a file that is too large to be an image; call it before reading."""
    if length > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"a file of {length:,} bytes, expected at most {MAX_FILE_BYTES:,}")


def is_within_pixel_limit(width: int, height: int) -> bool:
    """Whether an image of this size may be decoded: up to twice PIL.Image.MAX_IMAGE_PIXELS, as in Pillow.

    The limit is read at each call, so a user may change it; None allows every size. Pillow also warns between
    once and twice the limit; this function does not.

    >>> is_within_pixel_limit(10_000, 10_000), is_within_pixel_limit(30_000, 30_000)
    (True, False)
    """
    limit = Image.MAX_IMAGE_PIXELS
    return limit is None or width * height <= 2 * limit


def check_pixels(width: int, height: int) -> None:
    """Raise Pillow's DecompressionBombError for a size beyond the limit; call it before allocating."""
    if not is_within_pixel_limit(width, height):
        raise Image.DecompressionBombError(
            f"claims {width:,} x {height:,} pixels, expected at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,}; "
            "raise PIL.Image.MAX_IMAGE_PIXELS to allow it"
        )


def set_pixel_limit(limit: int | None) -> None:
    """Set PIL.Image.MAX_IMAGE_PIXELS in a worker process to the caller's."""
    Image.MAX_IMAGE_PIXELS = limit


def open_image(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open an image of one of `FORMATS` with Pillow: read its header and check its size, without decoding.

    No other plug-in of Pillow gets the bytes, so an EPS or PSD file named .jpg is not interpreted. Image.open
    with `formats` would do the same, but it warns above once the pixel limit, and Python cannot suppress a
    warning for one thread.
    """
    prefix = file.read(_PREFIX_BYTES)
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(prefix)
        if not accepted or isinstance(accepted, str):  # a str: Pillow was built without the format
            continue
        # Pillow before 13 allocates WebP's canvas when it opens the file.
        if size := _webp_size(prefix):
            check_pixels(*size)
        file.seek(0)
        image = factory(file, "")
        check_pixels(*image.size)
        return image
    raise UnidentifiedImageError(f"not a readable image, expected one of {', '.join(FORMATS)}")


def _webp_size(prefix: bytes) -> tuple[int, int] | None:
    """The canvas size of a WebP file; None for other formats, and if the header is truncated."""
    if prefix[:4] != b"RIFF" or prefix[8:12] != b"WEBP" or len(prefix) < _PREFIX_BYTES:
        return None
    kind = prefix[12:16]
    if kind == b"VP8X":
        return int.from_bytes(prefix[24:27], "little") + 1, int.from_bytes(prefix[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(prefix[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = int.from_bytes(prefix[26:28], "little"), int.from_bytes(prefix[28:30], "little")
    return width & 0x3FFF, height & 0x3FFF
