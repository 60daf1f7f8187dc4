"""How often `perfsuite advise` names a planted bottleneck, for perfsuite's loaders and for a foreign one.

python -m benchmarks.advise.planted_places --trials 40 --seconds 20

Each trial slows one place by a random amount (computing in decode, transform, collate and step; waiting in
storage) and asks for the bottleneck with two workers. Nothing is planted in the control: there the images
are computed, so neither storage nor collate nor the step may be named.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.utils.data import DataLoader

from benchmarks.advise import planted_pipeline
from benchmarks.advise.planted_pipeline import IMAGE_SIZE, ForeignImages, SlowSource
from perfsuite.advise.inputs.loaders import UserLoader
from perfsuite.advise.loader_advice.measure import AdviceRequest, measure_advice
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import DATA_LOADER
from perfsuite.advise.sweep.setting_loaders import ImageLoaders, UserSettingLoaders
from perfsuite.advise.tuning.tune import OpenLoaders, SearchSpace
from perfsuite.data.sources.files import image_folder
from perfsuite.data.synthetic import dataset

IMAGES, BATCH_SIZE = 256, 16
SLOWDOWN_SECONDS = (0.004, 0.012)  # of an image, drawn anew for each trial
CONTROL = "nothing planted"
FOREIGN_PLACES = ("storage", "decode", "transform", "collate", "device", CONTROL)
OWN_PLACES = ("storage", "decode", "device")
ALLOWED_IN_CONTROL = ("decode", "transform", "dataset")


@dataclass(frozen=True, slots=True)
class Trial:
    loader: str
    planted: str
    named: str

    @property
    def is_right(self) -> bool:
        return self.named in ALLOWED_IN_CONTROL if self.planted == CONTROL else self.named == self.planted


def run_trial(loader: str, place: str, folder: Path, seconds: float, rng: random.Random) -> Trial:
    slow = rng.uniform(*SLOWDOWN_SECONDS)
    planted_pipeline.step_seconds = slow if place == "device" else 1e-5
    config = SweepConfig(
        num_workers=(2,),
        augmentation_modes=("none",),
        batch_size=BATCH_SIZE,
        seconds=seconds,
        loader_options={"image_size": IMAGE_SIZE},
    )
    open_loaders = foreign(folder, place, slow) if loader == "foreign" else own(folder, place, slow)
    engines = (DATA_LOADER,) if loader == "foreign" else ("processes",)
    advice = measure_advice(
        AdviceRequest(
            subject=loader,
            open_loaders=open_loaders,
            space=SearchSpace((2,), engines, (), (2,), (BATCH_SIZE,)),
            config=config,
            model=f"{planted_pipeline.__name__}:planted_model",
            device="cpu",
        )
    )
    return Trial(loader, place, "nothing" if advice.diagnosis is None else str(advice.diagnosis.bottleneck))


def foreign(folder: Path, place: str, slow: float) -> OpenLoaders:
    files = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]
    images = ForeignImages(files, place, slow)
    loader = DataLoader(images, batch_size=BATCH_SIZE, shuffle=True, collate_fn=images.collate)
    loaders = UserSettingLoaders(UserLoader(loader, "--loader planted", BATCH_SIZE))
    return lambda config: loaders


def own(folder: Path, place: str, slow: float) -> OpenLoaders:
    files = image_folder(folder)
    source: Any = SlowSource(files, slow) if place == "storage" else files
    return lambda config: ImageLoaders(source, config)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each trial")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, trials = random.Random(arguments.seed), list[Trial]()
    cases = [("foreign", place) for place in FOREIGN_PLACES] + [("perfsuite", place) for place in OWN_PLACES]
    with TemporaryDirectory() as temporary:
        small = dataset.make_dataset(Path(temporary) / "small", images=IMAGES, classes=2, size=(64, 48))
        large = dataset.make_dataset(Path(temporary) / "large", images=32, classes=2, size=(1280, 960))
        for number in range(arguments.trials):
            loader, place = cases[number % len(cases)]
            folder = large if (loader, place) == ("perfsuite", "decode") else small
            trials.append(run_trial(loader, place, folder, arguments.seconds, rng))
            mark = "" if trials[-1].is_right else "   <- wrong"
            print(f"{number + 1:3} {loader:9} {place:16} named {trials[-1].named}{mark}", flush=True)
    right = sum(trial.is_right for trial in trials)
    print(f"{right} of {len(trials)} right")
    return 0 if right >= 0.95 * len(trials) else 1


if __name__ == "__main__":
    sys.exit(main())
