"""The eight workloads as plain pytest-benchmark tests."""

from typing import Any

import numpy as np
import pytest
import torch
import vision_workloads
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return vision_workloads.encoded_images(8)


@pytest.fixture(scope="module")
def images(files: list[bytes]) -> list[Image.Image]:
    return vision_workloads.decode(files)


@pytest.fixture(scope="module")
def resized(images: list[Image.Image]) -> list[Array]:
    return vision_workloads.resize(images)


def test_decode(benchmark: Any, files: list[bytes]) -> None:
    benchmark(vision_workloads.decode, files)


def test_resize(benchmark: Any, images: list[Image.Image]) -> None:
    benchmark(vision_workloads.resize, images)


def test_augment(benchmark: Any, resized: list[Array]) -> None:
    benchmark(vision_workloads.augment, resized)


def test_normalize(benchmark: Any, resized: list[Array]) -> None:
    benchmark(vision_workloads.normalize, np.stack(resized))


def test_collate(benchmark: Any, resized: list[Array]) -> None:
    tensors = [torch.from_numpy(image.copy()) for image in resized]
    benchmark(vision_workloads.collate, tensors)


def test_step(benchmark: Any) -> None:
    benchmark(vision_workloads.Step())


def test_boxes(benchmark: Any) -> None:
    lines = [f"{n % 80} {n / 997:.4f} {n / 991:.4f} {n / 983:.4f} {n / 977:.4f}" for n in range(2000)]
    benchmark(vision_workloads.boxes, lines)


def test_pipeline(benchmark: Any, files: list[bytes]) -> None:
    benchmark(vision_workloads.pipeline, files)
