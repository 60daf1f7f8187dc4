"""torchvision.io."""

from __future__ import annotations

from perfsuite.data.decoding.decoder import Decoder, Pixels
from perfsuite.data.decoding.fallback import fall_back_to_pillow, tensor_to_pixels

IMAGE_READ_MODE_RGB = 3  # torchvision.io.ImageReadMode.RGB


@fall_back_to_pillow(RuntimeError)
def decode_with_torchvision(data: bytes) -> Pixels:
    import torch
    import torchvision.io  # noqa: F401 - registers torch.ops.image

    # Call the operator, because the function around it warns on every call since torchvision 0.29.
    # Copy the bytes, because torch needs writable memory.
    image = torch.ops.image.decode_jpeg(
        torch.frombuffer(bytearray(data), dtype=torch.uint8), IMAGE_READ_MODE_RGB, False
    )
    return tensor_to_pixels(image)


DECODER = Decoder(
    name="torchvision",
    decode=decode_with_torchvision,
    module="torchvision",
    distribution="torchvision",
    extra="vision",
)
