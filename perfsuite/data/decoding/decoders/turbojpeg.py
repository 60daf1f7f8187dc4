"""PyTurboJPEG, which calls the system's libturbojpeg."""

from __future__ import annotations

from functools import cache
from typing import Any

from perfsuite.data.decoding.decoder import Decoder, Pixels
from perfsuite.data.decoding.fallback import fall_back_to_pillow


@fall_back_to_pillow(OSError, complete_only=True)
def decode_with_turbojpeg(data: bytes) -> Pixels:
    from turbojpeg import TJPF_RGB

    pixels: Pixels = _load_turbojpeg().decode(data, pixel_format=TJPF_RGB)
    return pixels


@cache
def _load_turbojpeg() -> Any:
    from turbojpeg import TurboJPEG

    return TurboJPEG()


@cache
def _has_library() -> bool:
    """Whether the system's library exists and is new enough for the Python package."""
    try:
        _load_turbojpeg()
    except (OSError, RuntimeError):
        return False
    return True


DECODER = Decoder(
    name="turbojpeg",
    decode=decode_with_turbojpeg,
    module="turbojpeg",
    distribution="PyTurboJPEG",
    extra="decoders",
    is_usable=_has_library,
)
