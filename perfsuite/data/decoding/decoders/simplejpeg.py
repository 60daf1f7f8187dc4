"""simplejpeg: libjpeg-turbo in a small wheel."""

from __future__ import annotations

from perfsuite.data.decoding.decoder import Decoder, Pixels
from perfsuite.data.decoding.fallback import fall_back_to_pillow


@fall_back_to_pillow(ValueError)
def decode_with_simplejpeg(data: bytes) -> Pixels:
    import simplejpeg

    pixels: Pixels = simplejpeg.decode_jpeg(data, fastdct=False, fastupsample=False, strict=True)
    return pixels


DECODER = Decoder(
    name="simplejpeg",
    decode=decode_with_simplejpeg,
    module="simplejpeg",
    distribution="simplejpeg",
    extra="vision",
)
