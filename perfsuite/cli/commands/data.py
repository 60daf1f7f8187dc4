"""Make image folders to measure with, draw segmentation maps, or pack images into shards.

  perfsuite data make images --images 512 --classes 4
  perfsuite data maps annotations.json maps          # for make_loaders(..., maps="maps")
  perfsuite data shards images shards              # WebDataset's tar files

The same seed makes the same images. Existing images and maps are not made again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perfsuite.cli.arguments import POSITIVE_INT, number, size
from perfsuite.cli.output import print_message
from perfsuite.cli.progress import ImageCounter
from perfsuite.errors import UsageError

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="make images in class folders, with labels and annotations")
    make.set_defaults(act=_make)
    make.add_argument("folder", metavar="DIR", type=Path, help="absent, empty, or made by the same command")
    make.add_argument(
        "--images", type=number(POSITIVE_INT), default=512, metavar="N", help="number of images (512)"
    )
    make.add_argument(
        "--classes", type=number(POSITIVE_INT), default=10, metavar="K", help="number of class folders (10)"
    )
    make.add_argument("--seed", type=int, default=42, help="seed of the images (42)")
    make.add_argument(
        "--size",
        type=size,
        metavar="WxH",
        help="one size for all, such as 1280x720 (default: varying around 500x375)",
    )
    maps = actions.add_parser("maps", help="draw and save a segmentation map for each annotated image")
    maps.set_defaults(act=_maps)
    maps.add_argument("annotations", metavar="FILE", type=Path, help="COCO's, or that of `data make`")
    maps.add_argument("folder", metavar="DIR", type=Path, help="target folder; existing maps stay")
    maps.add_argument("--compressed", action="store_true", help=".npz, smaller and slower to read than .npy")
    shards = actions.add_parser("shards", help="pack class folders into tar files that WebDataset reads")
    shards.set_defaults(act=_shards)
    shards.add_argument("images", metavar="IMAGES", type=Path, help="a folder of class folders")
    shards.add_argument("folder", metavar="DIR", type=Path, help="target folder, without shards")
    shards.add_argument(
        "--per-shard", type=number(POSITIVE_INT), default=1000, metavar="N", help="images per shard (1000)"
    )


def run(arguments: argparse.Namespace) -> int:
    act: Callable[[argparse.Namespace], str] = arguments.act
    print_message(act(arguments), sys.stdout)
    return 0


def _make(arguments: argparse.Namespace) -> str:
    from perfsuite.data.synthetic import dataset

    try:
        dataset.SyntheticSettings(arguments.images, arguments.classes, arguments.seed, arguments.size)
    except ValueError as error:
        raise UsageError(str(error)) from error
    folder = dataset.make_dataset(
        arguments.folder,
        images=arguments.images,
        classes=arguments.classes,
        seed=arguments.seed,
        size=arguments.size,
        progress=ImageCounter(),
    )
    return f"{folder}: {arguments.images} images in {arguments.classes} classes"


def _maps(arguments: argparse.Namespace) -> str:
    from perfsuite.data.sources.annotation_formats import read_annotations
    from perfsuite.data.sources.maps import store_maps

    annotations = _read_existing(read_annotations, arguments.annotations)
    suffix = ".npz" if arguments.compressed else ".npy"
    drawn = store_maps(annotations, arguments.folder, suffix, ImageCounter())
    skipped = annotations.skipped_polygons
    note = f", {skipped} degenerate polygons skipped" if skipped else ""
    return f"{arguments.folder}: {drawn} maps drawn, {len(annotations) - drawn} existed already{note}"


def _shards(arguments: argparse.Namespace) -> str:
    from perfsuite.data.sources.files import image_folder
    from perfsuite.data.sources.shards import write_shards

    source = _read_existing(image_folder, arguments.images)
    shards = write_shards(source, arguments.folder, arguments.per_shard, progress=ImageCounter())
    return f"{arguments.folder}: {len(source)} images in {len(shards)} shards"


def _read_existing(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file or folder") from error
