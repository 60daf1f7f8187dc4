"""The benchmarks with which `perfsuite doctor` tests a machine: decoding, training, memory traffic.

Nothing imports this module: the doctor copies it into a project of its own.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_decode(benchmark: Any) -> None:
    packed = io.BytesIO()
    Image.fromarray(IMAGE).resize((640, 480)).save(packed, "JPEG")
    benchmark(lambda: [Image.open(io.BytesIO(packed.getvalue())).convert("RGB") for _ in range(4)])


def test_training_step(benchmark: Any) -> None:
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(10)
    )
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)

    def step() -> None:
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]

    benchmark(step)


def test_memory_bound(benchmark: Any) -> None:
    batch = np.zeros((32, 224, 224, 3), dtype=np.uint8)
    benchmark(lambda: (batch.astype(np.float32) - 0.5) / 0.25)
