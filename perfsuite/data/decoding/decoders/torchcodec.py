"""torchcodec."""

from __future__ import annotations

from perfsuite.data.decoding.decoder import Decoder, Pixels
from perfsuite.data.decoding.fallback import fall_back_to_pillow, tensor_to_pixels


@fall_back_to_pillow(RuntimeError, complete_only=True)
def decode_with_torchcodec(data: bytes) -> Pixels:
    from torchcodec.decoders import decode_jpeg

    return tensor_to_pixels(decode_jpeg(bytearray(data)))


DECODER = Decoder(
    name="torchcodec",
    decode=decode_with_torchcodec,
    module="torchcodec",
    distribution="torchcodec",
    extra="decoders",
)
