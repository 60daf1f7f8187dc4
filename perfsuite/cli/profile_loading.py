"""Time each stage of loading on one core: images a second, its share, and what to do about the slowest.

  perfsuite profile loading --data-dir images/
  perfsuite profile loading --data-dir images/ --mode moderate --image-size 256 --annotations a.json

Without --data-dir images are made here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import positive_int
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.advise.profile.loading import LoadingProfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="images (without: made here)")
    parser.add_argument("--mode", metavar="MODE", help="conservative, moderate, aggressive or none")
    parser.add_argument(
        "--image-size", type=positive_int, default=224, metavar="PX", help="side in pixels (224)"
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=32, metavar="N", help="images a batch (32)"
    )
    parser.add_argument(
        "--decoder", default="auto", help="auto, or one of perfsuite.data.decoding.registry (auto)"
    )
    parser.add_argument("--reduce", action="store_true", help="decode large JPEGs smaller")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="boxes and polygons that follow")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long (5)")
    parser.add_argument("--json", action="store_true", help="the figures for other programs")


def run(arguments: argparse.Namespace) -> int:
    if arguments.seconds <= 0:
        raise UsageError(f"--seconds {arguments.seconds:g}, expected more than 0")
    from perfsuite.advise.profile.loading import profile_loading
    from perfsuite.data.loaders import make_loaders
    from perfsuite.data.synthetic import dataset

    loaders = make_loaders(
        arguments.data_dir or dataset.cached_dataset(images=96, classes=8),
        arguments.batch_size,
        0,
        arguments.mode,
        arguments.image_size,
        decoder=arguments.decoder,
        scaled_decode=arguments.reduce,
        annotations=arguments.annotations,
    )
    found = profile_loading(loaders.train, arguments.seconds)
    print(json.dumps(asdict(found)) if arguments.json else _table(found))
    return 0


def _table(found: LoadingProfile) -> str:
    wide = max(len(stage.name) for stage in found.stages)
    rows = [
        f"  {stage.name:{wide}} {stage.images_per_second:12,.0f} {stage.share:8.1%}" for stage in found.stages
    ]
    slowest = found.slowest
    lines = [
        f"{found.images:,} images on one core, {found.images_per_second:,.0f} a second through all stages",
        f"  {'':{wide}}   images/s    share",
        *rows,
        f"  slowest: {slowest.name}; without it at most {found.max_speedup(slowest):.2f} times as fast",
    ]
    return "\n".join([*lines, f"  try: {slowest.advice}"] if slowest.advice else lines)
