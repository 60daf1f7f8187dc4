"""Fixtures of the benchmarks: images, few enough to be read often; one core; a steady allocator."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_proof.device import GpuDevice, gpu_device
from perfsuite.data.synthetic import dataset
from perfsuite.pytest_plugin.images import own_image_dir

IMAGE_COUNT = 96
# Projects that are gated, not benchmarks of this repository.
collect_ignore = ["gate/sample_project", "gpu_proof/gate_project"]


@pytest.fixture
def gpu() -> GpuDevice:
    return gpu_device()


@pytest.fixture(scope="session")
def annotated_image_dir() -> Path:
    """Generated images with annotations of the objects in them."""
    return dataset.cached_dataset(images=IMAGE_COUNT, classes=8)


@pytest.fixture(scope="session")
def small_image_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough images for an epoch of about a second: of --perf-images where it is given, else generated."""
    images = own_image_dir(request.config)
    if images is None:
        folder: Path = request.getfixturevalue("annotated_image_dir")
        return folder
    return _link_subset(images, tmp_path_factory.mktemp("subset"))


def _link_subset(images: Path, folder: Path) -> Path:
    """Link to every n-th JPEG of the folder, by class."""
    paths = [path for path in sorted(images.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")]
    if not paths:
        pytest.skip(f"{images}: contains no JPEGs")
    for number, path in enumerate(paths[:: -(-len(paths) // IMAGE_COUNT)]):
        link = folder / (path.parent.name if path.parent != images else "images") / f"{number:06d}.jpg"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path.resolve())
    return folder


@pytest.fixture(scope="session")
def image_batch() -> torch.Tensor:
    """32 noise images at 224 pixels: uint8, NCHW."""
    generator = torch.Generator().manual_seed(42)
    return torch.randint(0, 256, (32, 3, 224, 224), dtype=torch.uint8, generator=generator)


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt
MAX_THRESHOLD_BYTES = 32 << 20  # the largest mmap threshold that glibc accepts


@pytest.fixture
def retain_freed_memory() -> None:
    """Make malloc keep freed memory instead of returning it to the kernel.

    By default its thresholds adapt to earlier requests. Then one of two compared implementations may wait for
    zeroed pages at every call while the other does not.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(MMAP_THRESHOLD, MAX_THRESHOLD_BYTES):
        pytest.skip("this malloc has no setting to keep freed memory")
    mallopt(TRIM_THRESHOLD, 8 * MAX_THRESHOLD_BYTES)


@pytest.fixture
def one_core() -> Iterator[None]:
    """Bind the caller to one core and one thread: several threads would wait for each other on that core."""
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
