"""The fused augmentation's indexing and arithmetic, run by Triton's interpreter; on a GPU, itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from perfsuite.transforms.augment.device import (
    DeviceDraws,
    augment_batch,
    augment_prepared,
    augment_prepared_torch,
    upload_draws,
)
from perfsuite.transforms.augment.modes import Draw, Draws, draws

pytest.importorskip("triton", reason="triton is not installed")

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
EXACT = Draws.of(
    [
        Draw(),
        Draw(mirror=True),
        Draw(quarter_turns=2, mirror=True),
        Draw(erase_top=0.2, erase_left=0.5, erase_height=0.3, erase_width=0.25),
    ]
)


@pytest.fixture(scope="module")
def kernels(interpreted: Callable[[str], ModuleType]) -> ModuleType:
    return interpreted("augment.triton_")


def batch(n: int, h: int, w: int) -> torch.Tensor:
    """Smooth with some noise, so that sampling matters and is not all that matters."""
    chance = torch.Generator().manual_seed(1)
    coarse = torch.rand((n, 3, 5, 5), generator=chance) * 255
    smooth = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic")
    return (smooth + 4 * torch.randn((n, 3, h, w), generator=chance)).clamp(0, 255).to(torch.uint8)


def run(kernels: ModuleType, images: torch.Tensor, prepared: DeviceDraws, fill: int = 128) -> torch.Tensor:
    made: torch.Tensor = kernels.augmented(
        images, prepared.inverse_affine, prepared.color_factors, prepared.erase_rectangles, fill
    )
    return made


def absolute_difference(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one.int() - other.int()).abs()


@pytest.mark.parametrize("mode", ["conservative", "moderate", "aggressive"])
@pytest.mark.parametrize(("height", "width"), [(24, 24), (17, 29)])
def test_it_makes_the_images_that_torch_makes(
    kernels: ModuleType, mode: str, height: int, width: int
) -> None:
    images = batch(4, height, width)
    prepared = upload_draws(draws(mode, 5, 0, range(4)), height, width)
    difference = absolute_difference(run(kernels, images, prepared), augment_prepared_torch(images, prepared))
    # Only what lies on the edge between two bytes may fall to the other side.
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 0.005


def test_moving_pixels_and_erasing_change_no_other(kernels: ModuleType) -> None:
    images = batch(4, 20, 26)
    prepared = upload_draws(EXACT, 20, 26)
    made = run(kernels, images, prepared, fill=7)
    assert torch.equal(made, augment_prepared_torch(images, prepared, fill=7))
    assert torch.equal(made[0], images[0])
    assert torch.equal(made[1], images[1].flip(2))


def test_strides_change_nothing(kernels: ModuleType) -> None:
    images = batch(3, 12, 18)
    prepared = upload_draws(draws("aggressive", 3, 0, range(3)), 12, 18)
    expected = run(kernels, images, prepared)
    last = images.contiguous(memory_format=torch.channels_last)
    sliced = torch.zeros((3, 3, 18, 36), dtype=torch.uint8)[:, :, 3:15, ::2].copy_(images)
    assert torch.equal(run(kernels, last, prepared), expected)
    assert torch.equal(run(kernels, sliced, prepared), expected)


def test_a_image_may_leave_the_frame_altogether(kernels: ModuleType) -> None:
    images = batch(1, 16, 16)
    prepared = upload_draws(Draws.of([Draw(shift_x=1e12)]), 16, 16)
    assert (run(kernels, images, prepared, fill=9) == 9).all()


def test_no_image_is_no_work(kernels: ModuleType) -> None:
    nothing = torch.empty((0, 3, 16, 16), dtype=torch.uint8)
    assert run(kernels, nothing, upload_draws(Draws.of([]), 16, 16)).shape == (0, 3, 16, 16)


FAULTS: dict[str, Callable[[Draw], Draw]] = {
    "mirrored twice": lambda d: replace(d, mirror=not d.mirror),
    "turned the other way": lambda d: replace(d, degrees=-d.degrees),
    "contrast for brightness": lambda d: replace(d, brightness=d.contrast, contrast=d.brightness),
    "saturation forgotten": lambda d: replace(d, saturation=1.0),
    "erased elsewhere": lambda d: replace(d, erase_top=d.erase_left, erase_left=d.erase_top),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(kernels: ModuleType, fault: str) -> None:
    right = Draw(True, 0, 12.0, 1.1, 0.1, 0.05, 1.2, 0.8, 1.3, 0.1, 0.5, 0.3, 0.3)
    images = batch(1, 32, 32)
    wrong = run(kernels, images, upload_draws(Draws.of([FAULTS[fault](right)]), 32, 32))
    assert (
        absolute_difference(
            wrong, augment_prepared_torch(images, upload_draws(Draws.of([right]), 32, 32))
        ).max()
        > 3
    )


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_on_a_gpu_it_makes_the_images_that_torch_makes(device: str) -> None:
    images = batch(16, 256, 256).to(device)
    prepared = upload_draws(draws("aggressive", 5, 0, range(16)), 256, 256, device)
    difference = absolute_difference(
        augment_prepared(images, prepared), augment_prepared_torch(images, prepared)
    )
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 0.005


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_a_recorded_graph_draws_anew(device: str) -> None:
    images = batch(4, 64, 64).to(device)
    numbers = upload_draws(draws("aggressive", 5, 0, range(4)), 64, 64, device)
    augment_prepared(images, numbers)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = augment_prepared(images, numbers)
    for epoch in range(3):
        drawn = draws("aggressive", 5, epoch, range(4))
        numbers.copy_(upload_draws(drawn, 64, 64, device))
        graph.replay()
        assert torch.equal(recorded, augment_batch(drawn, images))
