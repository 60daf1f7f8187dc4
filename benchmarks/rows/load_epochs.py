"""Load twenty epochs of `images` in the way that the argument names: a process for the rows to time."""

from __future__ import annotations

import sys
from typing import Any

import torch

from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import make_loaders
from perfsuite.transforms.normalization.channel_stats import IMAGENET
from perfsuite.transforms.normalization.conditional import ConditionalNormalize

EPOCHS = 20
OPTIONS: dict[str, dict[str, Any]] = {
    "files": {},
    "conditional": {"normalize": Normalize(dtype=torch.uint8)},
    "cached": {"cache": "ram"},
    "disk": {"cache": "disk"},
    "normalized": {"cache": "ram", "cache_normalized": True},
}


def main(kind: str) -> None:
    train = make_loaders("images", 32, 0, "none", **OPTIONS[kind]).train
    conditional = ConditionalNormalize(IMAGENET.mean, IMAGENET.std)
    for _ in range(EPOCHS):
        for images, _labels in train:
            if kind == "conditional":
                conditional(images)


if __name__ == "__main__":
    main(sys.argv[1])
