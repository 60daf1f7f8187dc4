"""A data set on the device yields every sample once an epoch, cropped and mirrored by its own numbers."""

from __future__ import annotations

import pytest
import torch

from perfsuite.data.device_dataset import DeviceDataset, gather_images
from perfsuite.errors import DataError
from perfsuite.transforms.normalization.channel_stats import CIFAR10, IMAGENET
from tests.transforms.normalization.error_bound import worst_error_ratio

GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


def random_images(number: int = 50) -> torch.Tensor:
    return torch.randint(
        0, 256, (number, 3, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


def dataset(device: str = "cpu", batch_size: int = 16) -> DeviceDataset:
    return DeviceDataset(
        images=random_images().to(device),
        labels=torch.arange(50).to(device),
        statistics=CIFAR10,
        batch_size=batch_size,
        padding=2,
        mirror=True,
    )


def images_by_label(source: DeviceDataset, epoch: int) -> dict[int, torch.Tensor]:
    return {
        int(label): image.cpu()
        for images, labels in source.epoch(epoch)
        for image, label in zip(images, labels, strict=True)
    }


@pytest.mark.parametrize("device", DEVICES)
def test_every_sample_comes_once_an_epoch_in_another_order(device: str) -> None:
    orders = [torch.cat([labels for _, labels in dataset(device).epoch(e)]).tolist() for e in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(50))
    assert orders[0] != orders[1]
    assert orders[0] != list(range(50))


def test_an_epoch_is_repeatable() -> None:
    first, again = images_by_label(dataset(), 4), images_by_label(dataset(), 4)
    assert all(torch.equal(first[label], again[label]) for label in range(50))


def test_a_sample_does_not_depend_on_its_batch() -> None:
    small, large = images_by_label(dataset(batch_size=7), 2), images_by_label(dataset(batch_size=50), 2)
    assert all(torch.equal(small[label], large[label]) for label in range(50))


def test_epochs_differ() -> None:
    one, two = images_by_label(dataset(), 0), images_by_label(dataset(), 1)
    assert sum(torch.equal(one[label], two[label]) for label in range(50)) < 10


@pytest.mark.parametrize("device", DEVICES)
def test_without_shift_and_mirror_the_images_are_only_normalized(device: str) -> None:
    plain = DeviceDataset(
        random_images().to(device),
        torch.arange(50).to(device),
        IMAGENET,
        16,
        shuffle=False,
        dtype=torch.bfloat16,
    )
    together = torch.cat([images for images, _ in plain.epoch(0)])
    assert worst_error_ratio(together, random_images(), IMAGENET) <= 1


def test_images_are_cropped_and_mirrored_pixel_by_pixel() -> None:
    rows, tops = torch.tensor([3, 0, 3]), torch.tensor([2, -3, 0])
    lefts, mirrors = torch.tensor([-1, 4, 0]), torch.tensor([0, 1, 1])
    gathered = gather_images(random_images(), rows, tops, lefts, mirrors, fill=9)
    for n in range(3):
        for y in range(12):
            for x in range(10):
                from_y, from_x = y + int(tops[n]), (9 - x if mirrors[n] else x) + int(lefts[n])
                within = 0 <= from_y < 12 and 0 <= from_x < 10
                expected = random_images()[rows[n], :, from_y, from_x] if within else torch.tensor([9] * 3)
                assert gathered[n, :, y, x].tolist() == expected.tolist()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_kernel_and_torch_crop_alike() -> None:
    on_cpu, on_gpu = images_by_label(dataset("cpu"), 3), images_by_label(dataset("cuda"), 3)
    assert all((on_cpu[label] - on_gpu[label]).abs().max() < 2e-6 for label in range(50))


def test_images_and_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected torch\.uint8"):
        DeviceDataset(random_images().float(), torch.arange(50), CIFAR10, 8)
    with pytest.raises(DataError, match="3 labels for 50 images"):
        DeviceDataset(random_images(), torch.arange(3), CIFAR10, 8)
