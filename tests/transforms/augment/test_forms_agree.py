"""One draw gives one image: by the oracle, with OpenCV, with torch on a device, and in other libraries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.peers import augmentation
from perfsuite.errors import UsageError
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.cpu import augment_image
from perfsuite.transforms.augment.device import augment_batch, augment_prepared
from perfsuite.transforms.augment.device_parameters import upload_parameters
from perfsuite.transforms.augment.modes import MODES
from perfsuite.transforms.augment.parameters import (
    AugmentationParameters,
    BatchParameters,
    draw_batch_parameters,
    draw_parameters,
    epoch_parameters,
)
from perfsuite.transforms.geometry import invert_affine
from tests.transforms.augment.oracle import oracle_augment

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]
ImageArray = NDArray[np.uint8]

SINGLE = [
    AugmentationParameters(),
    AugmentationParameters(mirror=True),
    AugmentationParameters(quarter_turns=1),
    AugmentationParameters(quarter_turns=2, mirror=True),
    AugmentationParameters(quarter_turns=3),
    AugmentationParameters(degrees=17.0),
    AugmentationParameters(degrees=17.0, mirror=True, quarter_turns=1),
    AugmentationParameters(zoom=0.79),  # 0.8 would put samples on quarters of pixels and results on ties
    AugmentationParameters(zoom=1.3),
    AugmentationParameters(shift_x=0.11, shift_y=-0.07),
    AugmentationParameters(shift_x=0.11, mirror=True, degrees=-9.0),
    AugmentationParameters(brightness=1.4),
    AugmentationParameters(contrast=0.5),
    AugmentationParameters(contrast=1.5),
    AugmentationParameters(saturation=0.0),
    AugmentationParameters(saturation=1.8),
    AugmentationParameters(brightness=0.7, contrast=1.3, saturation=0.6),
    AugmentationParameters(erase_top=0.2, erase_left=0.5, erase_height=0.3, erase_width=0.25),
]
OF_MODES = [draw_parameters(mode, seed=5, epoch=0, index=index) for mode in MODES for index in range(3)]


def random_image(height: int = 31, width: int = 31, seed: int = 0) -> ImageArray:
    """Smooth with some noise, so that both sampling and single pixels matter."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 255, (1, 3, 5, 5)))
    smooth = (
        torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].permute(1, 2, 0).numpy()
    )
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def augment_on(device: str, parameters: AugmentationParameters, image: ImageArray) -> ImageArray:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
    return augment_batch(BatchParameters.of([parameters]), batch)[0].permute(1, 2, 0).cpu().numpy()


def absolute_difference(first: ImageArray, second: ImageArray) -> NDArray[np.int64]:
    return np.asarray(np.abs(first.astype(int) - second.astype(int)))


@pytest.mark.parametrize("parameters", SINGLE + OF_MODES, ids=repr)
def test_a_draw_on_the_cpu_matches_the_oracle(parameters: AugmentationParameters) -> None:
    expected = oracle_augment(parameters, random_image())
    difference = absolute_difference(augment_image(parameters, random_image()), expected)
    # OpenCV rounds sampling positions to fractions of a pixel; color multiplies that by up to 1.8.
    assert difference.max() <= 3
    assert difference.mean() < 0.25


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("parameters", SINGLE + OF_MODES, ids=repr)
def test_a_draw_on_a_device_matches_the_oracle(parameters: AugmentationParameters, device: str) -> None:
    expected = oracle_augment(parameters, random_image())
    difference = absolute_difference(augment_on(device, parameters, random_image()), expected)
    # Only a value at the edge between two bytes may round to the other one.
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("parameters", [d for d in SINGLE if not d.quarter_turns % 2] + OF_MODES, ids=repr)
def test_a_draw_matches_the_oracle_on_an_image_that_is_not_square(parameters: AugmentationParameters) -> None:
    image = random_image(23, 37)
    expected = oracle_augment(parameters, image)
    assert absolute_difference(augment_image(parameters, image), expected).max() <= 3
    assert absolute_difference(augment_on("cpu", parameters, image), expected).max() <= 2


@pytest.mark.parametrize(
    "parameters",
    [
        AugmentationParameters(mirror=True),
        AugmentationParameters(quarter_turns=1),
        AugmentationParameters(quarter_turns=3, mirror=True),
    ],
    ids=repr,
)
def test_mirrors_and_quarter_turns_move_pixels_and_change_none(parameters: AugmentationParameters) -> None:
    image = random_image()
    expected = oracle_augment(parameters, image)
    assert np.array_equal(augment_image(parameters, image), expected)
    assert np.array_equal(augment_on("cpu", parameters, image), expected)


def test_the_identity_draw_returns_the_image_itself() -> None:
    image = random_image()
    assert np.shares_memory(augment_image(AugmentationParameters(), image), image)


@pytest.mark.parametrize("parameters", SINGLE, ids=repr)
def test_the_given_image_is_never_written_to(parameters: AugmentationParameters) -> None:
    image = random_image()
    before = image.copy()
    augment_image(parameters, image)
    assert np.array_equal(image, before)


def test_every_image_of_a_batch_has_its_own_draw() -> None:
    image = random_image()
    batch = torch.from_numpy(image).permute(2, 0, 1).expand(6, -1, -1, -1)
    parameters = draw_batch_parameters("aggressive", 3, 0, range(6))
    augmented = augment_batch(parameters, batch)
    for i in range(6):
        assert np.array_equal(augmented[i].permute(1, 2, 0).numpy(), augment_on("cpu", parameters[i], image))
    assert len({bytes(result.numpy().tobytes()) for result in augmented}) == 6


def test_the_maps_of_a_batch_equal_the_maps_of_its_images() -> None:
    parameters = epoch_parameters("aggressive", 1, 0, 50)
    single = [invert_affine(parameters[i].affine.affine_matrix(23, 37))[:2] for i in range(50)]
    assert parameters.affine.inverse_coefficients_batch(23, 37) == pytest.approx(np.stack(single), abs=1e-9)


@pytest.mark.parametrize("parameters", SINGLE[5:8] + SINGLE[11:] + OF_MODES, ids=repr)
def test_albumentations_gives_the_same_image(parameters: AugmentationParameters) -> None:
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    if parameters.quarter_turns:
        pytest.skip("the peer has no quarter turns")
    # albumentations shifts by whole pixels; so do we here, to compare the rest.
    parameters = parameters.replace(
        shift_x=round(parameters.shift_x * 31) / 31, shift_y=round(parameters.shift_y * 31) / 31
    )
    difference = absolute_difference(
        augmentation.albumentations_of_draw(parameters)(random_image()),
        augment_image(parameters, random_image()),
    )
    # It truncates where we round, after each of three color operations.
    assert difference.max() <= 5
    assert difference.mean() < 2.2


@pytest.mark.parametrize("parameters", SINGLE[7:] + OF_MODES, ids=repr)
def test_torchvision_gives_the_same_image(parameters: AugmentationParameters) -> None:
    image = random_image()
    theirs = augmentation.torchvision_of_draw(parameters)(torch.from_numpy(image).permute(2, 0, 1))
    # The edge, into which torchvision blends the fill twice, is not compared.
    only_geometry = parameters.replace(
        brightness=1.0, contrast=1.0, saturation=1.0, erase_height=0.0, erase_width=0.0
    )
    inside = oracle_augment(only_geometry, np.full_like(image, 255), 0) == 255
    difference = absolute_difference(theirs.permute(1, 2, 0).numpy(), augment_image(parameters, image))[
        inside
    ]
    assert difference.max() <= 5
    assert difference.mean() < 2.2


@pytest.mark.parametrize("mode", MODES)
def test_the_modes_of_other_libraries_run(mode: str) -> None:
    image = random_image(32, 32)
    theirs = augmentation.torchvision_of_mode(mode)(torch.from_numpy(image).permute(2, 0, 1))
    assert theirs.shape == (3, 32, 32)
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    assert augmentation.albumentations_of_mode(mode)(image=image)["image"].shape == (32, 32, 3)


FAULTS: dict[str, Callable[[AugmentationParameters], AugmentationParameters]] = {
    "mirrored twice": lambda d: d.replace(mirror=not d.mirror),
    "rotated the other way": lambda d: d.replace(degrees=-d.degrees),
    "shifted the other way": lambda d: d.replace(shift_x=-d.shift_x),
    "zoomed the other way": lambda d: d.replace(zoom=1 / d.zoom),
    "contrast for brightness": lambda d: d.replace(brightness=d.contrast, contrast=d.brightness),
    "no saturation": lambda d: d.replace(saturation=1.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_detected(fault: str) -> None:
    parameters = AugmentationParameters(
        mirror=True, degrees=12.0, zoom=1.1, shift_x=0.1, shift_y=0.05,
        brightness=1.2, contrast=0.8, saturation=1.3,
    )  # fmt: skip
    wrong = augment_image(FAULTS[fault](parameters), random_image())
    assert absolute_difference(wrong, oracle_augment(parameters, random_image())).max() > 3


@pytest.mark.parametrize(
    "parameters", [draw_parameters("aggressive", 5, 0, index) for index in range(4)], ids=repr
)
def test_without_opencv_torch_gives_the_same_image(
    parameters: AugmentationParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_opencv = augment_image(parameters, random_image())
    monkeypatch.setattr(cpu, "import_opencv", lambda: None)
    assert absolute_difference(augment_image(parameters, random_image()), with_opencv).max() <= 3


def test_without_opencv_erasing_does_not_change_the_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rectangle is erased after the contrast, so its fill is not part of the mean gray."""
    parameters = AugmentationParameters(degrees=10.0, contrast=0.2, erase_height=0.9, erase_width=0.9)
    monkeypatch.setattr(cpu, "import_opencv", lambda: None)
    image = augment_image(parameters, random_image(), fill=255)
    assert absolute_difference(image, oracle_augment(parameters, random_image(), 255)).max() <= 2


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 4), (3, 8, 8)])
def test_anything_but_a_color_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8 of height x width x 3"):
        augment_image(AugmentationParameters(), np.zeros(shape, dtype=np.uint8))


def test_a_batch_needs_as_many_draws_as_images() -> None:
    with pytest.raises(ValueError, match="2 rows of parameters for 3 images"):
        augment_batch(draw_batch_parameters("none", 0, 0, [0, 1]), torch.zeros(3, 3, 4, 4, dtype=torch.uint8))


def test_odd_quarter_turns_of_a_batch_need_square_images() -> None:
    with pytest.raises(UsageError, match="expected square images"):
        augment_batch(
            BatchParameters.of([AugmentationParameters(quarter_turns=1)]),
            torch.zeros(1, 3, 4, 6, dtype=torch.uint8),
        )


def test_an_empty_batch_stays_empty() -> None:
    empty = torch.zeros(0, 3, 4, 6, dtype=torch.uint8)
    assert augment_batch(draw_batch_parameters("moderate", 0, 0, []), empty).shape == empty.shape


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_graph_replays_other_draws_bit_for_bit() -> None:
    batch = torch.from_numpy(random_image(32, 32)).permute(2, 0, 1).expand(8, -1, -1, -1).contiguous().cuda()
    first, second = (draw_batch_parameters("aggressive", 3, epoch, range(8)) for epoch in (0, 1))
    recorded = upload_parameters(first, 32, 32, "cuda")
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        augment_prepared(batch, recorded)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = augment_prepared(batch, recorded)
    for parameters in (first, second):
        recorded.copy_(upload_parameters(parameters, 32, 32, "cuda"))
        graph.replay()
        assert torch.equal(out, augment_batch(parameters, batch))
