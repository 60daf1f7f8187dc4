"""Augmentation: how far ahead of what others do, and what it adds to the reading of a picture."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from perfsuite.data.decode import decoder
from perfsuite.transforms import normalize, on_device, on_picture, twins
from perfsuite.transforms.distort import elastic, grid
from perfsuite.transforms.modes import Draw, draw, draws, epoch_draws
from perfsuite.transforms.statistics import IMAGENET


@pytest.fixture
def picture(few_photos) -> np.ndarray:
    """A photograph at training size: uint8, 224 x 224 x 3."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    whole = cv2.imread(str(next(few_photos.rglob("*.jpg"))))
    return cv2.resize(whole, (224, 224), interpolation=cv2.INTER_AREA)


# Two calls of OpenCV are nine tenths of it.
ONE_LIBRARY = pytest.mark.xfail(reason="known gap: 1.46 on an EPYC, 2.6 to 2.9 on a Xeon")


@pytest.mark.floor(speedup=1.5)
@pytest.mark.parametrize("mode", [pytest.param("conservative", marks=ONE_LIBRARY), "moderate", "aggressive"])
def test_a_mode_against_albumentations_at_equal_laws(perf, picture, mode, one_core):
    """Both draw anew for every picture; albumentations as one affine and one jitter, its fastest form."""
    pytest.importorskip("albumentations", reason="albumentations is not installed")
    theirs = twins.albumentations_of_mode(mode)
    samples = count()
    perf.race(
        ours=lambda: on_picture.apply(draw(mode, 42, 0, next(samples)), picture),
        albumentations=lambda: theirs(image=picture),
        items=1,
    )


@pytest.mark.floor(speedup=1.5)
def test_moderate_mode_against_torchvision(perf, picture, one_core):
    theirs = twins.torchvision_of_mode("moderate")
    planes = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
    samples = count()
    perf.race(
        ours=lambda: on_picture.apply(draw("moderate", 42, 0, next(samples)), picture),
        torchvision=lambda: theirs(planes),
        items=1,
    )


@pytest.mark.ceiling(overhead=0.30)
def test_moderate_mode_adds_to_reading_a_picture(perf, few_photos, one_core):
    """Decoding, resizing and normalising with and without it: the whole way of a training picture."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    decode = decoder()
    files = [path.read_bytes() for path in sorted(few_photos.rglob("*.jpg"))[:16]]
    samples = count()

    def read(augmenting):
        for file in files:
            small = cv2.resize(np.asarray(decode(file)), (224, 224), interpolation=cv2.INTER_AREA)
            if augmenting:
                small = on_picture.apply(draw("moderate", 42, 0, next(samples)), small)
            normalize(torch.from_numpy(small)[None], mean=IMAGENET.mean, std=IMAGENET.std, layout="NHWC")

    perf.pair(plain=lambda: read(False), augmented=lambda: read(True), items=16)


@pytest.mark.ceiling(overhead=0.05)
def test_random_numbers_add_to_augmenting(perf, picture, one_core):
    """As the loaders do: the draws of a shuffled batch at once, made into one after the other."""
    batches = np.random.default_rng(42).permutation(1024).reshape(-1, 32)
    ready = [[draws("moderate", 42, 0, rows)[place] for place in range(32)] for rows in batches]
    first, second = count(), count()

    def with_draws_at_hand():
        for drawn in ready[next(first) % 32]:
            on_picture.apply(drawn, picture)

    def drawing():
        drawn = draws("moderate", 42, 0, batches[next(second) % 32])
        for place in range(32):
            on_picture.apply(drawn[place], picture)

    perf.pair(ready=with_draws_at_hand, drawn=drawing, items=32)


@pytest.mark.ceiling(overhead=0.10)
def test_random_numbers_one_by_one_add_to_augmenting(perf, picture, one_core):
    """For a picture alone, as a data set of one's own would ask."""
    drawn = epoch_draws("moderate", 42, 0, 1000)
    ready = [drawn[i] for i in range(1000)]
    first, second = count(), count()
    perf.pair(
        ready=lambda: on_picture.apply(ready[next(first) % 1000], picture),
        drawn=lambda: on_picture.apply(draw("moderate", 42, 0, next(second) % 1000), picture),
        items=1,
    )


@pytest.mark.ceiling(overhead=0.05)
def test_memory_adds_to_augmenting(perf, picture, one_core):
    """Laying an augmented picture in its place of a batch: the share of memory, beside the two above."""
    drawn = epoch_draws("moderate", 42, 0, 1000)
    ready = [drawn[i] for i in range(1000)]
    places = np.empty((64, *picture.shape), np.uint8)
    first, second = count(), count()

    def laid(number):
        places[number % 64] = on_picture.apply(ready[number % 1000], picture)

    perf.pair(
        made=lambda: on_picture.apply(ready[next(first) % 1000], picture),
        laid=lambda: laid(next(second)),
        items=1,
    )


@pytest.mark.floor(speedup=3.0)
def test_turning_and_mirroring_are_cheap_and_distortion_is_not(perf, picture, one_core):
    """Elastic and grid distortion sample every pixel from its own place, and make that place first."""
    random = np.random.default_rng(42)
    perf.race(
        mirror_and_turn=lambda: on_picture.move(Draw(mirror=True, quarter_turns=1), picture),
        elastic=lambda: elastic(224, 224, 4.0, 16.0, random).picture(picture),
        grid=lambda: grid(224, 224, 5, 4.0, random).picture(picture),
        items=1,
    )


@pytest.fixture
def on_gpu() -> torch.Tensor:
    return torch.randint(0, 256, (64, 3, 256, 256), dtype=torch.uint8, device="cuda")


@pytest.mark.gpu
@pytest.mark.floor(speedup=1.5)
def test_on_the_gpu_against_torchvision_picture_by_picture(perf, on_gpu):
    """torchvision v2 draws once for all that it is given, so it is given one picture at a time."""
    theirs = twins.torchvision_of_mode("moderate")
    drawn = draws("moderate", 42, 0, range(64))
    perf.race(
        ours=lambda: on_device.augment(drawn, on_gpu),
        torchvision=lambda: torch.stack([theirs(one) for one in on_gpu]),
        items=64,
        device="cuda",
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=1.5)
def test_on_the_gpu_two_kernels_against_many(perf, on_gpu):
    prepared = on_device.prepare(draws("moderate", 42, 0, range(64)), 256, 256, "cuda")
    perf.race(
        kernels=lambda: on_device.augmented(on_gpu, prepared),
        torch=lambda: on_device.augmented_by_torch(on_gpu, prepared),
        items=64,
        device="cuda",
    )


@pytest.mark.gpu
@pytest.mark.floor(speedup=1.5)
def test_on_the_gpu_against_kornia(perf, on_gpu):
    kornia = pytest.importorskip("kornia.augmentation", reason="kornia is not installed")
    theirs = torch.nn.Sequential(
        kornia.RandomHorizontalFlip(p=0.5),
        kornia.RandomAffine(degrees=15.0, scale=(0.9, 1.1), p=1.0),
        kornia.ColorJitter(brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), p=1.0),
    )
    drawn = draws("moderate", 42, 0, range(64))
    perf.race(
        ours=lambda: on_device.augment(drawn, on_gpu),
        kornia=lambda: theirs(on_gpu.float().div_(255)).mul_(255).to(torch.uint8),
        items=64,
        device="cuda",
    )
