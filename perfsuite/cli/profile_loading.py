"""Time each stage of loading on one core: images per second, share, and what to do about the slowest.

perfsuite profile loading --data-dir images/
perfsuite profile loading --data-dir images/ --augmentation-mode moderate --annotations a.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import (
    add_augmentation_argument,
    add_batch_size_argument,
    add_data_dir_argument,
    add_image_size_argument,
    add_seconds_argument,
)
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_json

if TYPE_CHECKING:
    from perfsuite.advise.profile.loading import LoadingProfile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_dir_argument(parser)
    add_augmentation_argument(parser)
    add_image_size_argument(parser, 224)
    add_batch_size_argument(parser)
    parser.add_argument(
        "--decoder", default="auto", help="auto, or one of perfsuite.data.decoding.registry (auto)"
    )
    parser.add_argument("--reduce", action="store_true", help="decode large JPEGs at a reduced scale")
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE", help="boxes and polygons to transform with the images"
    )
    add_seconds_argument(parser, 5.0)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.profile.loading import profile_loading
    from perfsuite.data.loaders import make_loaders
    from perfsuite.data.synthetic import dataset

    loaders = make_loaders(
        arguments.data_dir or dataset.cached_dataset(images=96, classes=8),
        arguments.batch_size,
        0,
        arguments.augmentation_mode,
        arguments.image_size,
        decoder=arguments.decoder,
        scaled_decode=arguments.reduce,
        annotations=arguments.annotations,
    )
    profile = profile_loading(loaders.train, arguments.seconds)
    print_message(_table(profile), text_stream(arguments.json))
    if arguments.json is not None:
        write_json("--json", arguments.json, asdict(profile))
    return 0


def _table(profile: LoadingProfile) -> str:
    width = max(len(stage.name) for stage in profile.stages)
    slowest, rate = profile.slowest, profile.images_per_second
    lines = [
        f"{profile.images:,} images on one core, {rate:,.0f} per second through all stages",
        f"  {'':{width}}   images/s    share",
        *(
            f"  {stage.name:{width}} {stage.images_per_second:12,.0f} {stage.share:8.1%}"
            for stage in profile.stages
        ),
        f"  slowest: {slowest.name}; without it at most {profile.max_speedup(slowest):.2f} times as fast",
    ]
    return "\n".join([*lines, f"  try: {slowest.advice}"] if slowest.advice else lines)
