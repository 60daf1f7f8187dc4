"""The eight workloads on little data, ten times a call: one time more is 10 % more work of its own kind."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import vision_workloads
from vision_workloads.planted_work import EXTRA_CALLS

CALLS = 10


def repeated(work: Callable[[], Any]) -> None:
    for _ in range(CALLS + EXTRA_CALLS):
        work()


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return vision_workloads.encoded_images(1)


def test_decode(benchmark: Any, files: list[bytes]) -> None:
    benchmark(repeated, partial(vision_workloads.decode, files))


def test_resize(benchmark: Any, files: list[bytes]) -> None:
    images = vision_workloads.decode(files)
    benchmark(repeated, partial(vision_workloads.resize, images))


def test_augment(benchmark: Any, files: list[bytes]) -> None:
    resized = vision_workloads.resize(vision_workloads.decode(files))
    benchmark(repeated, partial(vision_workloads.augment, resized))


def test_normalize(benchmark: Any, files: list[bytes]) -> None:
    batch = np.stack(vision_workloads.resize(vision_workloads.decode(files)))
    benchmark(repeated, partial(vision_workloads.normalize, batch))


def test_collate(benchmark: Any, files: list[bytes]) -> None:
    (image,) = vision_workloads.resize(vision_workloads.decode(files))
    tensors = [torch.from_numpy(image.copy()) for _ in range(8)]
    benchmark(repeated, partial(vision_workloads.collate, tensors))


def test_step(benchmark: Any) -> None:
    benchmark(repeated, vision_workloads.Step())


def test_boxes(benchmark: Any) -> None:
    lines = [f"{n % 80} {n / 997:.4f} {n / 991:.4f} {n / 983:.4f} {n / 977:.4f}" for n in range(200)]
    benchmark(repeated, partial(vision_workloads.boxes, lines))


def test_pipeline(benchmark: Any, files: list[bytes]) -> None:
    benchmark(repeated, partial(vision_workloads.pipeline, files))
