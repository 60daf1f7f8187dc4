"""Decode a batch of JPEGs on a device with nvJPEG, or on the host where the device is a CPU."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.decoding.jpeg_markers import ends_after_one_scan
from perfsuite.data.decoding.registry import get_decoder
from perfsuite.data.image_file import is_within_pixel_limit
from perfsuite.errors import DataError


def suits_nvjpeg(file: bytes) -> bool:
    """Whether nvJPEG decodes the file well: a plain, sequential color JPEG within the pixel limit."""
    header = read_jpeg_header(file)
    if header is None or not header.is_plain or header.components != 3 or header.progressive:
        return False
    # A size beyond the limit, or a marker that Pillow may refuse, goes to the host, which decides.
    return is_within_pixel_limit(header.width, header.height) and ends_after_one_scan(file)


def decode_batch(files: list[bytes], device: torch.device) -> list[torch.Tensor] | None:
    """Decode all files in one call, each to 3 x height x width; None if any of them fails."""
    try:
        return _decode_with_nvjpeg(files, device) if device.type == "cuda" else _decode_on_host(files)
    except (RuntimeError, ValueError, MemoryError, DataError):
        return None


def _decode_with_nvjpeg(files: list[bytes], device: torch.device) -> list[torch.Tensor]:
    if find_spec("torchcodec"):
        from torchcodec.decoders import decode_jpeg
    else:
        from torchvision.io import decode_jpeg
    # Hopper's hardware decoder does not wait for the stream: it may write before earlier work has finished
    # (pytorch/torchcodec#1634, pytorch/vision#9606).
    torch.cuda.current_stream(device).synchronize()
    tensors = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
    return list(decode_jpeg(tensors, mode="RGB", device=device)) if tensors else []


def _decode_on_host(files: list[bytes]) -> list[torch.Tensor]:
    return [torch.from_numpy(get_decoder("auto")(file)).permute(2, 0, 1) for file in files]
