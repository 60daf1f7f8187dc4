"""How often `perfsuite advise` names a planted bottleneck, for perfsuite's loaders and for a foreign one.

python -m benchmarks.advise.planted_places --trials 40 --seconds 20

Each trial slows one place by a random amount (computing in decode, transform, collate and step; waiting in
storage) and asks for the bottleneck with two workers. Nothing is planted in the control: there neither
storage nor collate may be named. The step may: with images this small it is about as slow as loading.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from perfsuite.advise.bottleneck.bottlenecks import Bottleneck
from perfsuite.advise.inputs.loaders import UserLoader
from perfsuite.advise.loader_advice.measure import AdviceRequest, measure_advice
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.report import DATA_LOADER
from perfsuite.advise.sweep.setting_loaders import ImageLoaders, UserSettingLoaders
from perfsuite.advise.tuning.tune import OpenLoaders, SearchSpace
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.synthetic import dataset

IMAGES, IMAGE_SIZE, BATCH_SIZE = 256, 32, 16
SLOWDOWN_SECONDS = (0.004, 0.012)  # of an image, drawn anew for each trial
CONTROL = "nothing planted"
FOREIGN_PLACES = (
    *(
        place.value
        for place in Bottleneck
        if place
        in {
            Bottleneck.STORAGE,
            Bottleneck.DECODE,
            Bottleneck.TRANSFORM,
            Bottleneck.COLLATE,
            Bottleneck.DEVICE,
        }
    ),
    CONTROL,
)
OWN_PLACES = ("storage", "decode", "device")
ALLOWED_IN_CONTROL = ("decode", "transform", "dataset", "device")

step_seconds = 0.0  # of an image, in the planted model's step


def compute(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def planted_model(num_classes: int = 10) -> nn.Module:
    """A small classifier whose step computes for as long as the trial says."""

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, num_classes)

        def forward(self, images: Tensor) -> Tensor:
            compute(step_seconds * len(images))
            scores: Tensor = self.head(images.mean((2, 3)))
            return scores

    return Slow()


class ForeignImages(Dataset[tuple[Tensor, int]]):
    """JPEGs in memory, read, decoded and transformed by functions of its own."""

    def __init__(self, files: Sequence[bytes], place: str, seconds: float) -> None:
        self.files, self.place, self.seconds = files, place, seconds

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.augment(self.decode_image(self.read_file(row))), row % 2

    def read_file(self, row: int) -> bytes:
        if self.place == "storage":
            time.sleep(self.seconds)
        return self.files[row]

    def decode_image(self, data: bytes) -> Image.Image:
        if self.place == "decode":
            compute(self.seconds)
        return Image.open(io.BytesIO(data)).convert("RGB")

    def augment(self, image: Image.Image) -> Tensor:
        if self.place == "transform":
            compute(self.seconds)
        pixels = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE)), np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def collate(self, samples: list[Any]) -> Any:
        if self.place == "collate":
            compute(self.seconds * len(samples))  # as one that copies every image again and again
        return default_collate(samples)


@dataclass(frozen=True)
class SlowSource:
    """A source of files whose storage answers late."""

    files: FileSource
    seconds: float

    def __len__(self) -> int:
        return len(self.files)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.files, name)

    def read(self, row: int) -> bytes:
        time.sleep(self.seconds)
        return self.files.read(row)


@dataclass(frozen=True, slots=True)
class Trial:
    loader: str
    planted: str
    named: str

    @property
    def is_right(self) -> bool:
        return self.named in ALLOWED_IN_CONTROL if self.planted == CONTROL else self.named == self.planted


def run_trial(loader: str, place: str, folder: Path, seconds: float, rng: random.Random) -> Trial:
    global step_seconds
    slow = rng.uniform(*SLOWDOWN_SECONDS)
    step_seconds = slow if place == "device" else 1e-5
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
            model=f"{__spec__.name}:planted_model",
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
