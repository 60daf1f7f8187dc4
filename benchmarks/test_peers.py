"""Our loaders against each way of feeding that people use today: same crops, same float32 output, in turns.

Run with `--slow --perf-max-time 60`. A peer that is not installed is skipped: `pip install webdataset litdata
mosaicml-streaming kornia spdl nvidia-dali-cuda130`; FFCV wants a compiler and the headers of OpenCV and
libjpeg-turbo.
"""

from __future__ import annotations

import pytest

from benchmarks.peers import AUGMENTATION_MODES, PEERS, formats, pipelines
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder

# Two turns take a second or two, and an interval needs some ten of them.
# What a library warns of is not ours to mend.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SPEEDUPS = {"validation": 1.15, "training": 1.25, "moderate": 1.4}
CACHED_SPEEDUPS = {"validation": 5, "training": 4}


def peer_cases(speedups):
    return [
        pytest.param(peer, work, marks=pytest.mark.floor(speedup=speedup), id=f"{work}-{peer}")
        for work, speedup in speedups.items()
        for peer in PEERS
    ]


def make_or_skip(peer, *how, **more):
    """A peer, or a skipped test where it is not installed or cannot do the work."""
    try:
        return peer(*how, **more)
    except ImportError as error:
        pytest.skip(f"{peer.__name__} is not installed here: {error}")
    except NotImplementedError as error:
        pytest.skip(str(error))


def ours(files, work, workers, cache=None):
    parts = dict.fromkeys(("train", "val", "test"), files)
    loaders = make_loaders(parts, 32, workers, AUGMENTATION_MODES[work], engine="threads", cache=cache)
    if cache:
        for _ in loaders.train:
            pass  # the epoch in which the cache fills
    return loaders.train


@pytest.mark.parametrize(("peer", "work"), peer_cases(SPEEDUPS))
def test_on_one_core(perf, small_image_dir, one_core, tmp_path, peer, work):
    files = image_folder(small_image_dir)
    perf.pair(peer=make_or_skip(PEERS[peer], files, work, 0, tmp_path), ours=ours(files, work, 0))


@pytest.mark.parametrize(("peer", "work"), peer_cases(SPEEDUPS))
def test_on_two_cores(perf, small_image_dir, tmp_path, peer, work):
    files = image_folder(small_image_dir)
    perf.pair(peer=make_or_skip(PEERS[peer], files, work, 2, tmp_path), ours=ours(files, work, 2))


@pytest.mark.gpu
@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize("work", AUGMENTATION_MODES)
def test_decoded_on_a_gpu_against_dali(perf, small_image_dir, tmp_path, work):
    files = image_folder(small_image_dir)
    peer = make_or_skip(pipelines.dali, files, work, 8, tmp_path, on_gpu=True)
    parts = dict.fromkeys(("train", "val", "test"), files)
    here = make_loaders(parts, 32, 8, AUGMENTATION_MODES[work], engine="device", device="cuda")
    perf.pair(peer=peer, ours=here.train, device="cuda")


@pytest.mark.parametrize(("peer", "work"), peer_cases(CACHED_SPEEDUPS))
def test_decoded_once_against_peers_that_decode(perf, small_image_dir, one_core, tmp_path, peer, work):
    files = image_folder(small_image_dir)
    perf.pair(
        peer=make_or_skip(PEERS[peer], files, work, 0, tmp_path), ours=ours(files, work, 0, cache="ram")
    )


@pytest.mark.floor(speedup=1)
@pytest.mark.parametrize("work", CACHED_SPEEDUPS)
def test_decoded_once_against_ffcv_of_raw_pixels(perf, small_image_dir, one_core, tmp_path, work):
    files = image_folder(small_image_dir)
    raw = make_or_skip(formats.ffcv, files, work, 0, tmp_path, write_mode="raw")
    perf.pair(raw=raw, ours=ours(files, work, 0, cache="ram"))
