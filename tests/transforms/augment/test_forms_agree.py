"""The same draw gives the same image: by the law, on the CPU, on the device, and in other libraries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.peers import augmentation
from perfsuite.errors import UsageError
from perfsuite.transforms.augment import cpu, device
from perfsuite.transforms.augment.modes import DRAW_FIELDS, MODES, Draw, Draws, draw, draws, epoch_draws
from perfsuite.transforms.geometry import affine_matrix, invert_affine
from tests.transforms.augment.oracle import oracle_augment

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]
ImageArray = NDArray[np.uint8]

SINGLE = [
    Draw(),
    Draw(mirror=True),
    Draw(quarter_turns=1),
    Draw(quarter_turns=2, mirror=True),
    Draw(quarter_turns=3),
    Draw(degrees=17.0),
    Draw(degrees=17.0, mirror=True, quarter_turns=1),
    Draw(zoom=0.79),  # 0.8 would put samples on quarters of pixels and answers on ties
    Draw(zoom=1.3),
    Draw(shift_x=0.11, shift_y=-0.07),
    Draw(shift_x=0.11, mirror=True, degrees=-9.0),
    Draw(brightness=1.4),
    Draw(contrast=0.5),
    Draw(contrast=1.5),
    Draw(saturation=0.0),
    Draw(saturation=1.8),
    Draw(brightness=0.7, contrast=1.3, saturation=0.6),
    Draw(erase_top=0.2, erase_left=0.5, erase_height=0.3, erase_width=0.25),
]
MIXED = [draw(mode, seed=5, epoch=0, index=index) for mode in MODES for index in range(3)]


def brief(drawn: Draw) -> str:
    """Only what was drawn."""
    changed = [name for name in DRAW_FIELDS if getattr(drawn, name) != getattr(Draw(), name)]
    return ",".join(f"{name}={getattr(drawn, name):.3g}" for name in changed) or "nothing"


def random_image(height: int = 31, width: int = 31, seed: int = 0) -> ImageArray:
    """Smooth with some noise, so that sampling matters and is not all that matters."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 255, (1, 3, 5, 5)))
    smooth = (
        torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0].permute(1, 2, 0).numpy()
    )
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def on(device: str, drawn: Draw, image: ImageArray) -> ImageArray:
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
    return device.augment_batch(Draws.of([drawn]), batch)[0].permute(1, 2, 0).cpu().numpy()


def absolute_difference(one: ImageArray, other: ImageArray) -> NDArray[np.int64]:
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize("drawn", SINGLE + MIXED, ids=brief)
def test_on_the_cpu_a_draw_does_what_the_law_says(drawn: Draw) -> None:
    difference = absolute_difference(
        cpu.augment_image(drawn, random_image()), oracle_augment(drawn, random_image())
    )
    # OpenCV's sampling rounds positions to parts of a pixel; color multiplies that by up to 1.8.
    assert difference.max() <= 3
    assert difference.mean() < 0.25


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("drawn", SINGLE + MIXED, ids=brief)
def test_on_the_device_a_draw_does_what_the_law_says(drawn: Draw, device: str) -> None:
    difference = absolute_difference(on(device, drawn, random_image()), oracle_augment(drawn, random_image()))
    # Only what lies on the edge between two bytes may fall to the other side.
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("drawn", [d for d in SINGLE if not d.quarter_turns % 2] + MIXED, ids=brief)
def test_images_of_unequal_sides_too(drawn: Draw) -> None:
    image = random_image(23, 37)
    right = oracle_augment(drawn, image)
    assert absolute_difference(cpu.augment_image(drawn, image), right).max() <= 3
    assert absolute_difference(on("cpu", drawn, image), right).max() <= 2


@pytest.mark.parametrize(
    "drawn", [Draw(mirror=True), Draw(quarter_turns=1), Draw(quarter_turns=3, mirror=True)]
)
def test_moving_pixels_changes_none(drawn: Draw) -> None:
    image = random_image()
    right = oracle_augment(drawn, image)
    assert np.array_equal(cpu.augment_image(drawn, image), right)
    assert np.array_equal(on("cpu", drawn, image), right)


def test_a_quarter_turn_exchanges_the_sides() -> None:
    image = random_image(23, 37)
    turned = cpu.augment_image(Draw(quarter_turns=1), image)
    assert np.array_equal(turned, np.rot90(image))
    assert np.array_equal(turned, oracle_augment(Draw(quarter_turns=1), image))


def test_nothing_drawn_returns_the_image_itself() -> None:
    image = random_image()
    assert np.shares_memory(cpu.augment_image(Draw(), image), image)


@pytest.mark.parametrize("drawn", SINGLE, ids=brief)
def test_the_image_given_is_never_written_to(drawn: Draw) -> None:
    image = random_image()
    before = image.copy()
    cpu.augment_image(drawn, image)
    assert np.array_equal(image, before)


def test_every_image_of_a_batch_has_its_own_draw() -> None:
    image = random_image()
    batch = torch.from_numpy(image).permute(2, 0, 1).expand(6, -1, -1, -1)
    together = draws("aggressive", 3, 0, range(6))
    made = device.augment_batch(together, batch)
    for i in range(6):
        alone = on("cpu", together[i], image)
        assert np.array_equal(made[i].permute(1, 2, 0).numpy(), alone)
    assert len({bytes(one.numpy().tobytes()) for one in made}) == 6


def test_many_maps_are_the_single_maps() -> None:
    together = epoch_draws("aggressive", 1, 0, 50)
    single = [invert_affine(affine_matrix(together[i], 23, 37))[:2] for i in range(50)]
    assert device.inverse_coefficients_batch(together, 23, 37) == pytest.approx(np.stack(single), abs=1e-9)


@pytest.mark.parametrize("drawn", SINGLE[5:8] + SINGLE[11:] + MIXED, ids=brief)
def test_albumentations_makes_the_same_image(drawn: Draw) -> None:
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    if drawn.quarter_turns:
        pytest.skip("quarter turns are not part of the twin")
    # It shifts by whole pixels; so do we, to compare the rest.
    drawn = replace(drawn, shift_x=round(drawn.shift_x * 31) / 31, shift_y=round(drawn.shift_y * 31) / 31)
    difference = absolute_difference(
        augmentation.albumentations_of_draw(drawn)(random_image()), cpu.augment_image(drawn, random_image())
    )
    # It cuts off where the law rounds, after each of three color operations.
    assert difference.max() <= 5
    assert difference.mean() < 2.2


@pytest.mark.parametrize("drawn", SINGLE[7:] + MIXED, ids=brief)
def test_torchvision_makes_the_same_image(drawn: Draw) -> None:
    image = random_image()
    made = (
        augmentation.torchvision_of_draw(drawn)(torch.from_numpy(image).permute(2, 0, 1))
        .permute(1, 2, 0)
        .numpy()
    )
    # The edge, into which torchvision blends the fill twice, is not compared.
    ones = np.full_like(image, 255)
    inside = oracle_augment(
        Draw(**{f: getattr(drawn, f) for f in ("degrees", "zoom", "shift_x", "shift_y", "mirror")}), ones, 0
    )
    difference = absolute_difference(made, cpu.augment_image(drawn, image))[inside == 255]
    assert difference.max() <= 5
    assert difference.mean() < 2.2


@pytest.mark.parametrize("mode", MODES)
def test_the_modes_of_other_libraries_run(mode: str) -> None:
    image = random_image(32, 32)
    made = augmentation.torchvision_of_mode(mode)(torch.from_numpy(image).permute(2, 0, 1))
    assert made.shape == (3, 32, 32)
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    assert augmentation.albumentations_of_mode(mode)(image=image)["image"].shape == (32, 32, 3)


FAULTS = {
    "mirrored twice": lambda d: replace(d, mirror=not d.mirror),
    "turned the other way": lambda d: replace(d, degrees=-d.degrees),
    "shifted the other way": lambda d: replace(d, shift_x=-d.shift_x),
    "zoomed the other way": lambda d: replace(d, zoom=1 / d.zoom),
    "contrast for brightness": lambda d: replace(d, brightness=d.contrast, contrast=d.brightness),
    "saturation forgotten": lambda d: replace(d, saturation=1.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    right = Draw(True, 0, 12.0, 1.1, 0.1, 0.05, 1.2, 0.8, 1.3)
    difference = absolute_difference(
        cpu.augment_image(FAULTS[fault](right), random_image()), oracle_augment(right, random_image())
    )
    assert difference.max() > 3


def test_without_opencv_torch_makes_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw("aggressive", 5, 0, 1)
    with_opencv = cpu.augment_image(drawn, random_image())
    monkeypatch.setattr(cpu, "import_opencv", lambda: None)
    assert absolute_difference(cpu.augment_image(drawn, random_image()), with_opencv).max() <= 3


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 4), (3, 8, 8)])
def test_what_is_not_a_color_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8 of height x width x 3"):
        cpu.augment_image(Draw(), np.zeros(shape, dtype=np.uint8))


def test_a_batch_and_its_draws_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 draws for 3 images"):
        device.augment_batch(draws("none", 0, 0, [0, 1]), torch.zeros(3, 3, 4, 4, dtype=torch.uint8))


def test_odd_quarter_turns_of_a_batch_need_squares() -> None:
    with pytest.raises(UsageError, match="expected square images"):
        device.augment_batch(Draws.of([Draw(quarter_turns=1)]), torch.zeros(1, 3, 4, 6, dtype=torch.uint8))


def test_an_empty_batch_stays_empty() -> None:
    empty = torch.zeros(0, 3, 4, 6, dtype=torch.uint8)
    assert device.augment_batch(draws("moderate", 0, 0, []), empty).shape == empty.shape


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_graph_replays_other_draws_to_the_bit() -> None:
    batch = torch.from_numpy(random_image(32, 32)).permute(2, 0, 1).expand(8, -1, -1, -1).contiguous().cuda()
    first, second = (draws("aggressive", 3, epoch, range(8)) for epoch in (0, 1))
    held = device.upload_draws(first, 32, 32, "cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        device.augment_prepared(batch, held)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = device.augment_prepared(batch, held)
    for drawn in (first, second):
        held.copy_(device.upload_draws(drawn, 32, 32, "cuda"))
        graph.replay()
        assert torch.equal(out, device.augment_batch(drawn, batch))
