"""Our loaders against the ways of feeding that people use today: same crops, same float32 output, in turns.

Run with `--slow --perf-max-time 60`.
Resizing is antialiased in ours, in Pillow's and in torchvision's arm; OpenCV's arms skip that work.
"""

from __future__ import annotations

import pytest

from benchmarks import peers
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sets import image_folder

# A turn of four arms takes about two seconds and an interval needs some ten of them: a minute for each race.
pytestmark = pytest.mark.slow
MODES = {"validation": "none", "training": None, "moderate": "moderate"}


def race(perf, photos, work, workers):
    whole = image_folder(photos)
    loaders = make_loaders({"train": whole, "val": whole, "test": whole}, 32, workers, MODES[work])
    for library in ("cv2", "simplejpeg", "albumentations"):
        pytest.importorskip(library, reason=f"{library} is not installed, so its arm cannot be raced")
    perf.race(ours=loaders.train, **peers.peers(whole, work, workers))
    loaders.close()


@pytest.mark.floor(speedup=1.15)
def test_validation_on_one_core(perf, few_photos, one_core):
    race(perf, few_photos, "validation", 0)


@pytest.mark.floor(speedup=1.25)
def test_training_on_one_core(perf, few_photos, one_core):
    race(perf, few_photos, "training", 0)


@pytest.mark.floor(speedup=1.4)
def test_moderate_on_one_core(perf, few_photos, one_core):
    race(perf, few_photos, "moderate", 0)


@pytest.mark.floor(speedup=1.15)
def test_validation_on_two_cores(perf, few_photos):
    race(perf, few_photos, "validation", 2)


@pytest.mark.floor(speedup=1.25)
def test_training_on_two_cores(perf, few_photos):
    race(perf, few_photos, "training", 2)


@pytest.mark.floor(speedup=1.4)
def test_moderate_on_two_cores(perf, few_photos):
    race(perf, few_photos, "moderate", 2)
