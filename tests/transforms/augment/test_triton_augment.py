"""The Triton kernels of augmentation, run by Triton's interpreter, and compiled where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from types import ModuleType

import pytest
import torch

from perfsuite.transforms.augment.device import (
    augment_batch,
    augment_prepared,
    augment_prepared_torch,
)
from perfsuite.transforms.augment.device_parameters import (
    PIXEL_PARAMETER_COLUMNS,
    DeviceParameters,
    upload_parameters,
)
from perfsuite.transforms.augment.parameters import (
    AugmentationParameters,
    BatchParameters,
    draw_batch_parameters,
)

pytest.importorskip("triton", reason="triton is not installed")

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
EXACT = BatchParameters.of(
    [
        AugmentationParameters(),
        AugmentationParameters(mirror=True),
        AugmentationParameters(quarter_turns=2, mirror=True),
        AugmentationParameters(erase_top=0.2, erase_left=0.5, erase_height=0.3, erase_width=0.25),
    ]
)


@pytest.fixture(scope="module")
def kernels(interpreted: Callable[[str], ModuleType]) -> ModuleType:
    return interpreted("augment.triton_")


def random_batch(n: int, h: int, w: int) -> torch.Tensor:
    """Smooth with some noise, so that both sampling and single pixels matter."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand((n, 3, 5, 5), generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic")
    return (smooth + 4 * torch.randn((n, 3, h, w), generator=generator)).clamp(0, 255).to(torch.uint8)


def run(
    kernels: ModuleType, images: torch.Tensor, prepared: DeviceParameters, fill: int = 128
) -> torch.Tensor:
    augmented: torch.Tensor = kernels.augment_prepared_triton(images, prepared.rows, fill)
    return augmented


def absolute_difference(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.int() - second.int()).abs()


@pytest.mark.parametrize("mode", ["conservative", "moderate", "aggressive"])
@pytest.mark.parametrize(("height", "width"), [(24, 24), (17, 29)])
def test_the_kernels_give_the_images_of_torch(
    kernels: ModuleType, mode: str, height: int, width: int
) -> None:
    images = random_batch(4, height, width)
    prepared = upload_parameters(draw_batch_parameters(mode, 5, 0, range(4)), height, width)
    difference = absolute_difference(run(kernels, images, prepared), augment_prepared_torch(images, prepared))
    # Only a value at the edge between two bytes may round to the other one.
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 0.005


def test_mirrors_and_erasing_change_no_other_pixel(kernels: ModuleType) -> None:
    images = random_batch(4, 20, 26)
    prepared = upload_parameters(EXACT, 20, 26)
    augmented = run(kernels, images, prepared, fill=7)
    assert torch.equal(augmented, augment_prepared_torch(images, prepared, fill=7))
    assert torch.equal(augmented[0], images[0])
    assert torch.equal(augmented[1], images[1].flip(2))


def test_strides_of_the_input_do_not_matter(kernels: ModuleType) -> None:
    images = random_batch(3, 12, 18)
    prepared = upload_parameters(draw_batch_parameters("aggressive", 3, 0, range(3)), 12, 18)
    expected = run(kernels, images, prepared)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    sliced = torch.zeros((3, 3, 18, 36), dtype=torch.uint8)[:, :, 3:15, ::2].copy_(images)
    assert torch.equal(run(kernels, channels_last, prepared), expected)
    assert torch.equal(run(kernels, sliced, prepared), expected)


def test_an_image_may_leave_the_frame_entirely(kernels: ModuleType) -> None:
    images = random_batch(1, 16, 16)
    prepared = upload_parameters(BatchParameters.of([AugmentationParameters(shift_x=1e12)]), 16, 16)
    assert (run(kernels, images, prepared, fill=9) == 9).all()


def test_an_empty_batch_stays_empty(kernels: ModuleType) -> None:
    empty = torch.empty((0, 3, 16, 16), dtype=torch.uint8)
    assert run(kernels, empty, upload_parameters(BatchParameters.of([]), 16, 16)).shape == (0, 3, 16, 16)


FAULTS: dict[str, Callable[[AugmentationParameters], AugmentationParameters]] = {
    "mirrored twice": lambda d: d.replace(mirror=not d.mirror),
    "rotated the other way": lambda d: d.replace(degrees=-d.degrees),
    "contrast for brightness": lambda d: d.replace(brightness=d.contrast, contrast=d.brightness),
    "no saturation": lambda d: d.replace(saturation=1.0),
    "erased elsewhere": lambda d: d.replace(erase_top=d.erase_left, erase_left=d.erase_top),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_detected(kernels: ModuleType, fault: str) -> None:
    parameters = AugmentationParameters(
        mirror=True, degrees=12.0, zoom=1.1, shift_x=0.1, shift_y=0.05,
        brightness=1.2, contrast=0.8, saturation=1.3,
        erase_top=0.1, erase_left=0.5, erase_height=0.3, erase_width=0.3,
    )  # fmt: skip
    images = random_batch(1, 32, 32)
    wrong = run(kernels, images, upload_parameters(BatchParameters.of([FAULTS[fault](parameters)]), 32, 32))
    assert (
        absolute_difference(
            wrong, augment_prepared_torch(images, upload_parameters(BatchParameters.of([parameters]), 32, 32))
        ).max()
        > 3
    )


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_on_a_gpu_the_kernels_give_the_images_of_torch(device: str) -> None:
    images = random_batch(16, 256, 256).to(device)
    prepared = upload_parameters(draw_batch_parameters("aggressive", 5, 0, range(16)), 256, 256, device)
    difference = absolute_difference(
        augment_prepared(images, prepared), augment_prepared_torch(images, prepared)
    )
    assert difference.max() <= 2
    assert (difference > 0).float().mean() < 0.005


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=GPU)])
def test_a_recorded_graph_replays_other_draws(device: str) -> None:
    images = random_batch(4, 64, 64).to(device)
    recorded_draws = upload_parameters(draw_batch_parameters("aggressive", 5, 0, range(4)), 64, 64, device)
    augment_prepared(images, recorded_draws)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = augment_prepared(images, recorded_draws)
    for epoch in range(3):
        parameters = draw_batch_parameters("aggressive", 5, epoch, range(4))
        recorded_draws.copy_(upload_parameters(parameters, 64, 64, device))
        graph.replay()
        assert torch.equal(recorded, augment_batch(parameters, images))


def test_the_passes_split_before_what_needs_the_mean(kernels: ModuleType) -> None:
    first_forms = accumulate(len(kernel_pass.forms) for kernel_pass in kernels.PASSES)
    needs_mean = [operation.needs_mean for operation, _, _ in PIXEL_PARAMETER_COLUMNS]
    splits = [position for position, needs in enumerate(needs_mean) if needs]
    assert list(first_forms) == [*splits, len(needs_mean)]
    assert splits


def test_an_edited_form_changes_the_cache_key() -> None:
    """Triton's disk cache would otherwise serve the old kernel."""
    from perfsuite.transforms.augment import triton_

    first, second = triton_.PASSES
    assert first.key
    assert first.key != second.key
