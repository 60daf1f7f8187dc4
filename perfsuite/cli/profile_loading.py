"""Time each stage of loading on one core: pictures a second, its share, and what to do about the slowest.

  perfsuite profile loading --data-dir photos/
  perfsuite profile loading --data-dir photos/ --mode moderate --image-size 256 --annotations a.json

Without --data-dir pictures are made here.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.step_options import positive
from perfsuite.errors import UsageError

if TYPE_CHECKING:
    from perfsuite.advise.loading import LoadingRates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="pictures (without: made here)")
    parser.add_argument("--mode", metavar="MODE", help="conservative, moderate, aggressive or none")
    parser.add_argument("--image-size", type=positive, default=224, metavar="PX", help="side in pixels (224)")
    parser.add_argument("--batch-size", type=positive, default=32, metavar="N", help="pictures a batch (32)")
    parser.add_argument("--decoder", default="auto", help="auto, or one of perfsuite.data.decode (auto)")
    parser.add_argument("--reduce", action="store_true", help="decode large JPEGs smaller")
    parser.add_argument("--annotations", type=Path, metavar="FILE", help="boxes and polygons that follow")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long (5)")
    parser.add_argument("--json", action="store_true", help="the figures for other programs")


def run(arguments: argparse.Namespace) -> int:
    if arguments.seconds <= 0:
        raise UsageError(f"--seconds {arguments.seconds:g}, expected more than 0")
    from perfsuite.advise.loading import loading_rates
    from perfsuite.data import photos
    from perfsuite.data.loaders import make_loaders

    loaders = make_loaders(
        arguments.data_dir or photos.cached(images=96, classes=8),
        arguments.batch_size,
        0,
        arguments.mode,
        arguments.image_size,
        decoder=arguments.decoder,
        reduce=arguments.reduce,
        annotations=arguments.annotations,
    )
    found = loading_rates(loaders.train, arguments.seconds)
    print(json.dumps(asdict(found)) if arguments.json else _table(found))
    return 0


def _table(found: LoadingRates) -> str:
    wide = max(len(stage.name) for stage in found.stages)
    rows = [
        f"  {stage.name:{wide}} {stage.images_per_second:12,.0f} {stage.share:8.1%}" for stage in found.stages
    ]
    slowest = found.slowest
    lines = [
        f"{found.images:,} pictures on one core, {found.images_per_second:,.0f} a second through all stages",
        f"  {'':{wide}}   pictures/s    share",
        *rows,
        f"  slowest: {slowest.name}; without it at most {found.most_to_gain(slowest):.2f} times as fast",
    ]
    return "\n".join([*lines, f"  try: {slowest.advice}"] if slowest.advice else lines)
