"""Our loaders against other libraries: the same crops and float32 output, in turns.

Run with `--slow --perf-max-time 60`. Missing peers are skipped: `pip install perfsuite[peers]` installs them.
FFCV needs a compiler and the headers of OpenCV and libjpeg-turbo.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_proof.device import GpuDevice
from benchmarks.peers.base import AUGMENTATION_MODES, LabeledBatches, Task
from benchmarks.peers.dali_ import make_dali
from benchmarks.peers.ffcv_ import make_ffcv
from benchmarks.peers.registry import PEERS
from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.pytest_plugin.fixture import Perf

# Two turns take a second or two, and an interval needs about ten. Warnings of other libraries are ignored.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
# Aims: what the loaders reach on the machines of docs/results/loaders.md. The floor holds anywhere.
SPEEDUPS: dict[Task, float] = {"validation": 1.15, "training": 1.25, "moderate": 1.4}
CACHED_SPEEDUPS: dict[Task, float] = {"validation": 5, "training": 4}


def peer_cases(speedups: dict[Task, float]) -> list[Any]:
    return [
        pytest.param(peer, task, marks=pytest.mark.aim(speedup=speedup), id=f"{task}-{peer}")
        for task, speedup in speedups.items()
        for peer in PEERS
    ]


def make_or_skip(make: Callable[..., LabeledBatches], *arguments: Any, **options: Any) -> LabeledBatches:
    """A peer's batches; skips the test where it is not installed or cannot do the task."""
    try:
        return make(*arguments, **options)
    except ImportError as error:
        pytest.skip(f"not installed: {error}")
    except NotImplementedError as error:
        pytest.skip(str(error))


def make_ours(files: FileSource, task: Task, num_workers: int, **options: Any) -> Loader:
    splits = dict.fromkeys(("train", "val", "test"), files)
    mode = AUGMENTATION_MODES[task]
    loader = make_loaders(splits, 32, num_workers, mode, **{"engine": "threads", **options}).train
    if "cache" in options:
        for _ in loader:
            pass  # this epoch fills the cache
    return loader


@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize(("peer", "task"), peer_cases(SPEEDUPS))
def test_on_one_core(
    perf: Perf, small_image_dir: Path, one_core: None, tmp_path: Path, peer: str, task: Task
) -> None:
    files = image_folder(small_image_dir)
    perf.pair(peer=make_or_skip(PEERS[peer].make, files, task, 0, tmp_path), ours=make_ours(files, task, 0))


@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize(("peer", "task"), peer_cases(SPEEDUPS))
def test_on_two_cores(perf: Perf, small_image_dir: Path, tmp_path: Path, peer: str, task: Task) -> None:
    files = image_folder(small_image_dir)
    perf.pair(peer=make_or_skip(PEERS[peer].make, files, task, 2, tmp_path), ours=make_ours(files, task, 2))


@pytest.mark.gpu
@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize("task", AUGMENTATION_MODES)
def test_gpu_decoding_against_dali(perf: Perf, gpu: GpuDevice, small_image_dir: Path, task: Task) -> None:
    if gpu.name == "cpu":
        pytest.skip("nvJPEG and DALI's decoder need a GPU")
    files = image_folder(small_image_dir)
    dali = make_or_skip(make_dali, files, task, 8, on_gpu=True)
    perf.pair(dali=dali, ours=make_ours(files, task, 8, engine="device", device="cuda"), device="cuda")


@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize(("peer", "task"), peer_cases(CACHED_SPEEDUPS))
def test_cached_against_peers_that_decode(
    perf: Perf, small_image_dir: Path, one_core: None, tmp_path: Path, peer: str, task: Task
) -> None:
    files = image_folder(small_image_dir)
    theirs = make_or_skip(PEERS[peer].make, files, task, 0, tmp_path)
    perf.pair(peer=theirs, ours=make_ours(files, task, 0, cache="ram"))


@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize("task", CACHED_SPEEDUPS)
def test_cached_against_ffcv_raw_pixels(
    perf: Perf, small_image_dir: Path, one_core: None, tmp_path: Path, task: Task
) -> None:
    files = image_folder(small_image_dir)
    raw = make_or_skip(make_ffcv, files, task, 0, tmp_path, write_mode="raw")
    perf.pair(raw=raw, ours=make_ours(files, task, 0, cache="ram"))
