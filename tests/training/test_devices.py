from __future__ import annotations

import pytest
import torch

from perfsuite.errors import UsageError
from perfsuite.training.devices import DeviceTransfer, choose_device

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_missing_gpu_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="torch sees no CUDA device"):
        choose_device(name)


def test_an_unknown_device_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"'gpu', expected cpu, cuda or cuda:N \(or auto\)"):
        choose_device("gpu")


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_uint8_images_of_either_layout_are_normalized(layout: str) -> None:
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    batch = pixels if layout == "NCHW" else pixels.permute(0, 2, 3, 1).contiguous()
    transfer = DeviceTransfer(CPU, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    images, _ = transfer((batch, torch.zeros(2)))
    mean, std = torch.tensor([0.5, 0.4, 0.3]).double(), torch.tensor([0.2, 0.3, 0.4]).double()
    expected = (pixels.double() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert images.dtype == torch.float32
    assert (images - expected).abs().max() < 1e-5


def test_float_images_are_not_normalized_again() -> None:
    images = torch.randn(2, 3, 4, 4)
    assert DeviceTransfer(CPU)((images, torch.zeros(2)))[0] is images


def test_channels_last_converts_the_images() -> None:
    images, _ = DeviceTransfer(CPU, channels_last=True)((torch.randn(2, 3, 4, 4), torch.zeros(2)))
    assert images.is_contiguous(memory_format=torch.channels_last)
