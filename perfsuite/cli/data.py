"""Image folders: make some to measure with, draw maps beside them, pack them into shards.

  perfsuite data make images --images 512 --classes 4
  perfsuite data maps annotations.json maps          # loaders read them: make_loaders(..., maps="maps")
  perfsuite data shards images shards              # WebDataset's tar files

What is made is the same for the same seed. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perfsuite.errors import UsageError

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="make images in class folders, with labels and annotations")
    make.set_defaults(act=_make)
    make.add_argument("folder", metavar="DIR", type=Path, help="absent or empty, or holding these images")
    make.add_argument("--images", type=int, default=512, metavar="N", help="how many (default 512)")
    make.add_argument("--classes", type=int, default=10, metavar="K", help="class folders (default 10)")
    make.add_argument("--seed", type=int, default=42, help="another seed, other images (default 42)")
    make.add_argument(
        "--size", metavar="WxH", help="all of one size, as 1280x720; by default they vary around 500x375"
    )
    maps = actions.add_parser("maps", help="draw a map of each annotated image's objects, and store it")
    maps.set_defaults(act=_maps)
    maps.add_argument("annotations", metavar="FILE", type=Path, help="COCO's, or that of 'data make'")
    maps.add_argument("folder", metavar="DIR", type=Path, help="where; those that are there are kept")
    maps.add_argument("--compressed", action="store_true", help=".npz, smaller and slower to read than .npy")
    shards = actions.add_parser("shards", help="pack class folders into tar files, as WebDataset reads them")
    shards.set_defaults(act=_shards)
    shards.add_argument("images", metavar="IMAGES", type=Path, help="a folder of class folders")
    shards.add_argument("folder", metavar="DIR", type=Path, help="where; shards that are there are an error")
    shards.add_argument("--per-shard", type=int, default=1000, metavar="N", help="images (default 1000)")


def run(arguments: argparse.Namespace) -> int:
    act: Callable[[argparse.Namespace], str] = arguments.act
    print(act(arguments))
    return 0


def _make(arguments: argparse.Namespace) -> str:
    from perfsuite.data.synthetic import dataset

    size = _parse_size(arguments.size)
    try:
        dataset.SyntheticSettings(arguments.images, arguments.classes, arguments.seed, size)
    except ValueError as error:
        raise UsageError(str(error)) from error
    folder = dataset.make_dataset(
        arguments.folder,
        images=arguments.images,
        classes=arguments.classes,
        seed=arguments.seed,
        size=size,
        progress=_progress_callback(),
    )
    return f"{folder}: {arguments.images} images in {arguments.classes} classes"


def _maps(arguments: argparse.Namespace) -> str:
    from perfsuite.data.sources.annotation_formats import read_annotations
    from perfsuite.data.sources.maps import store_maps

    found = _read_existing(read_annotations, arguments.annotations)
    suffix = ".npz" if arguments.compressed else ".npy"
    drawn = store_maps(found, arguments.folder, suffix, _progress_callback())
    left_out = f", {found.skipped_polygons} degenerate polygons left out" if found.skipped_polygons else ""
    return f"{arguments.folder}: {drawn} maps drawn, {len(found) - drawn} were there already{left_out}"


def _shards(arguments: argparse.Namespace) -> str:
    from perfsuite.data.sources.files import image_folder
    from perfsuite.data.sources.shards import write_shards

    if arguments.per_shard < 1:
        raise UsageError(f"data shards: --per-shard is {arguments.per_shard}, expected at least 1")
    source = _read_existing(image_folder, arguments.images)
    written = write_shards(source, arguments.folder, arguments.per_shard, progress=_progress_callback())
    return f"{arguments.folder}: {len(source)} images in {len(written)} shards"


def _read_existing(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file or folder") from error


def _parse_size(told: str | None) -> tuple[int, int] | None:
    if told is None:
        return None
    found = re.fullmatch(r"(\d+)[xX](\d+)", told)
    if found is None:
        raise UsageError(f"data make: --size is {told!r}, expected WIDTHxHEIGHT such as 1280x720")
    return int(found[1]), int(found[2])


def _progress_callback() -> Callable[[int, int], None] | None:
    return _print_progress if sys.stderr.isatty() else None


def _print_progress(done: int, of: int) -> None:
    if done % 16 == 0 or done == of:
        print(f"\r{done} of {of} images", end="\n" if done == of else "", file=sys.stderr, flush=True)
