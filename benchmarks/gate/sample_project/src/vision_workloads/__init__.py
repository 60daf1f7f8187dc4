"""Eight workloads of image training, with named stages and extra work that can be planted in each stage."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from perfsuite.stages import stage
from vision_workloads.planted_work import EXTRA_WORK_UNITS

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def spin(units: int) -> None:
    """Work that neither a compiler nor a cache removes; some tens of nanoseconds a unit."""
    value = 1
    for _ in range(units):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF


class planted:  # noqa: N801 - reads as a statement
    """A stage of a workload, with the extra work that is planted in it."""

    def __init__(self, workload: str, name: str) -> None:
        self.stage, self.units = stage(name), EXTRA_WORK_UNITS.get(f"{workload}.{name}", 0)

    def __enter__(self) -> None:
        self.stage.__enter__()
        spin(self.units)  # also with no unit: what is planted is the units, not the call

    def __exit__(self, *error: Any) -> None:
        self.stage.__exit__(*error)


def encoded_images(number: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(number):
        small = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        packed = io.BytesIO()
        Image.fromarray(small).resize((400, 300), Image.Resampling.BICUBIC).save(packed, "JPEG", quality=90)
        images.append(packed.getvalue())
    return images


def decode(files: list[bytes], workload: str = "decode") -> list[Image.Image]:
    with planted(workload, "read"):
        opened = [Image.open(io.BytesIO(file)) for file in files]
    with planted(workload, "decode"):
        return [image.convert("RGB") for image in opened]


def resize(images: list[Image.Image], workload: str = "resize") -> list[np.ndarray]:
    with planted(workload, "resize"):
        return [np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR)) for image in images]


def augment(images: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    augmented = []
    with planted("augment", "augment"):
        for image in images:
            left, top = rng.integers(0, 24, 2)
            crop = image[top : top + 200, left : left + 200]
            crop = crop[:, ::-1] if rng.random() < 0.5 else crop
            augmented.append(
                np.clip(crop.astype(np.int16) + int(rng.integers(-20, 20)), 0, 255).astype(np.uint8)
            )
    return augmented


def normalize(batch: np.ndarray, workload: str = "normalize") -> np.ndarray:
    with planted(workload, "normalize"):
        return (batch.astype(np.float32) / np.float32(255) - MEAN) / DEVIATION


def collate(tensors: list[torch.Tensor]) -> torch.Tensor:
    with planted("collate", "collate"):
        return torch.stack(tensors)


class Step:
    """One training step of a small network."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(32, 10),
        )
        self.images, self.labels = torch.randn(8, 3, 64, 64), torch.randint(0, 10, (8,))

    def __call__(self) -> None:
        with planted("step", "forward"):
            loss = torch.nn.functional.cross_entropy(self.model(self.images), self.labels)
        with planted("step", "backward"):
            loss.backward()  # type: ignore[no-untyped-call]
        # Not torch.optim, whose first step imports the compiler, which takes seconds in each process.
        with planted("step", "optimize"), torch.no_grad():
            for weights in self.model.parameters():
                weights -= 0.01 * weights.grad  # type: ignore[operator, misc]
                weights.grad = None


def boxes(lines: list[str]) -> list[tuple[float, float, float, float]]:
    """Convert labels as text into corners, in pure Python."""
    with planted("boxes", "parse"):
        numbers = [[float(word) for word in line.split()[1:]] for line in lines]
    with planted("boxes", "corners"):
        return [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in numbers]


def pipeline(files: list[bytes]) -> torch.Tensor:
    images = np.stack(resize(decode(files, "pipeline"), "pipeline"))
    normalized = normalize(images, "pipeline")
    with planted("pipeline", "collate"):
        return torch.from_numpy(normalized).permute(0, 3, 1, 2).contiguous()
