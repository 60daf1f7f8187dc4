"""What benchmarks run on: images, few enough to be read often, and one core."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from perfsuite.data.synthetic import dataset as made_images
from perfsuite.pytest_plugin.images import own_image_dir

IMAGE_COUNT = 96


@pytest.fixture(scope="session")
def annotated_image_dir() -> Path:
    """Images made here, with what is to be seen in each."""
    return made_images.cached_dataset(images=IMAGE_COUNT, classes=8)


@pytest.fixture(scope="session")
def small_image_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many that an epoch takes a second or less: of your own, where --perf-images names them."""
    own = own_image_dir(request.config)
    if own is None:
        folder: Path = request.getfixturevalue("annotated_image_dir")
        return folder
    return _link_subset(own, tmp_path_factory.mktemp("few"))


def _link_subset(own: Path, folder: Path) -> Path:
    """Links to JPEGs from all over the folder, by class."""
    found = [path for path in sorted(own.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")]
    if not found:
        pytest.skip(f"{own}: no JPEGs are in it")
    for number, path in enumerate(found[:: -(-len(found) // IMAGE_COUNT)]):
        link = folder / (path.parent.name if path.parent != own else "images") / f"{number:06d}.jpg"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path.resolve())
    return folder


@pytest.fixture(scope="session")
def image_batch() -> torch.Tensor:
    """32 images of noise at 224 pixels: uint8, NCHW."""
    generator = torch.Generator().manual_seed(42)
    return torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8, generator=generator)


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt
MAX_THRESHOLD_BYTES = 32 << 20  # that glibc takes as a threshold


@pytest.fixture
def retain_freed_memory() -> None:
    """malloc keeps what is given back, from here on.

    By itself it hands large outputs back to the kernel or not, as sizes happened to be asked for, and of two
    ways that allocate one then waits for pages to be cleared.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(MMAP_THRESHOLD, MAX_THRESHOLD_BYTES):
        pytest.skip("this malloc cannot be told to keep memory")
    mallopt(TRIM_THRESHOLD, 8 * MAX_THRESHOLD_BYTES)


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
