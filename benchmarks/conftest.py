"""The pictures that benchmarks run on: made once, kept in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from perfsuite.data import photos as made_photos


@pytest.fixture(scope="session")
def photos() -> Path:
    return made_photos.cached(images=512, classes=10)


@pytest.fixture(scope="session")
def few_photos() -> Path:
    return made_photos.cached(images=96, classes=8)


@pytest.fixture(scope="session")
def photos_batch() -> torch.Tensor:
    """32 pictures of noise at 224 pixels: uint8, NCHW."""
    generator = torch.Generator().manual_seed(42)
    return torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8, generator=generator)


@pytest.fixture
def one_core() -> Iterator[None]:
    """The caller on one core, with one thread: two that wait for each other on one core take for ever."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind a process to a core")
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    cores, torch_threads, cv2_threads = os.sched_getaffinity(0), torch.get_num_threads(), cv2.getNumThreads()
    os.sched_setaffinity(0, {min(cores)})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(torch_threads)
    cv2.setNumThreads(cv2_threads)
