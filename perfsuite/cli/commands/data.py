"""Check image files, make image folders to measure with, draw segmentation maps, or pack images into shards.

  perfsuite data make images --images 512 --classes 4
  perfsuite data maps annotations.json maps          # for make_loaders(..., maps="maps")
  perfsuite data shards images shards              # WebDataset's tar files
  perfsuite data check images --json report.json   # every file that a loader refuses, or that is damaged

The same seed makes the same images. Existing images and maps are not made again.

`data check` decodes every image below a folder, in parallel. A file is "unreadable" if every loader refuses
it, "damaged" if loaders accept it as Pillow does, with gray or wrong pixels. Its exit code is 0 without such
a file, 13 with one, 2 if the folder has no images.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from perfsuite.cli.arguments import POSITIVE_INT, add_action, number, size
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_output
from perfsuite.cli.progress import ImageCounter
from perfsuite.errors import ExitCode, UsageError
from perfsuite.report.text import escape_control_characters

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = add_action(
        actions,
        "make",
        "make images in class folders, with labels and annotations",
        "perfsuite data make images --images 512 --classes 4",
    )
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
    maps = add_action(
        actions,
        "maps",
        "draw and save a segmentation map for each annotated image",
        "perfsuite data maps annotations.json maps",
    )
    maps.set_defaults(act=_maps)
    maps.add_argument("annotations", metavar="FILE", type=Path, help="COCO's, or that of `data make`")
    maps.add_argument("folder", metavar="DIR", type=Path, help="target folder; existing maps stay")
    maps.add_argument("--compressed", action="store_true", help=".npz, smaller and slower to read than .npy")
    shards = add_action(
        actions,
        "shards",
        "pack class folders into tar files that WebDataset reads",
        "perfsuite data shards images shards --per-shard 500",
    )
    shards.set_defaults(act=_shards)
    shards.add_argument("images", metavar="IMAGES", type=Path, help="a folder of class folders")
    shards.add_argument("folder", metavar="DIR", type=Path, help="target folder, without shards")
    shards.add_argument(
        "--per-shard", type=number(POSITIVE_INT), default=1000, metavar="N", help="images per shard (1000)"
    )
    check = add_action(
        actions,
        "check",
        "find every damaged image file, before training does",
        "perfsuite data check images --json report.json",
    )
    check.set_defaults(act=_check)
    check.add_argument("folder", metavar="DIR", type=Path, help="images, in any folders below it")
    check.add_argument(
        "--workers", type=number(POSITIVE_INT), metavar="N", help="threads (as many as there are cores)"
    )
    add_json_argument(check, "the files with a problem")


def run(arguments: argparse.Namespace) -> int:
    act: Callable[[argparse.Namespace], int] = arguments.act
    return act(arguments)


def _make(arguments: argparse.Namespace) -> int:
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
    print_message(f"{folder}: {arguments.images} images in {arguments.classes} classes", sys.stdout)
    return ExitCode.KEPT


def _maps(arguments: argparse.Namespace) -> int:
    from perfsuite.data.sources.annotation_formats import read_annotations
    from perfsuite.data.sources.maps import store_maps

    annotations = _read_existing(read_annotations, arguments.annotations)
    suffix = ".npz" if arguments.compressed else ".npy"
    drawn = store_maps(annotations, arguments.folder, suffix, ImageCounter())
    skipped = {
        "degenerate polygons": annotations.skipped_polygons,
        "crowds and empty boxes": annotations.skipped_objects,
        "masks without polygons": annotations.skipped_masks,
    }
    note = "".join(f", {count} {name} skipped" for name, count in skipped.items() if count)
    print_message(
        f"{arguments.folder}: {drawn} maps drawn, {len(annotations) - drawn} existed already{note}",
        sys.stdout,
    )
    return ExitCode.KEPT


def _shards(arguments: argparse.Namespace) -> int:
    from perfsuite.data.sources.files import image_folder
    from perfsuite.data.sources.shards import write_shards

    source = _read_existing(image_folder, arguments.images)
    shards = write_shards(source, arguments.folder, arguments.per_shard, progress=ImageCounter())
    print_message(f"{arguments.folder}: {len(source)} images in {len(shards)} shards", sys.stdout)
    return ExitCode.KEPT


def _check(arguments: argparse.Namespace) -> int:
    from perfsuite.data.check import check_folder

    folder = arguments.folder
    report = _read_existing(partial(check_folder, workers=arguments.workers, progress=ImageCounter()), folder)
    stream = text_stream(arguments.json)
    for problem in report.problems:
        line = f"{folder}/{problem.file}: {problem.kind}: {problem.reason}"
        print_message(escape_control_characters(line), stream)
    unreadable, damaged = report.count("unreadable"), report.count("damaged")
    print_message(f"{folder}: {report.files} files, {unreadable} unreadable, {damaged} damaged", stream)
    if arguments.json:
        figures = {"folder": str(folder), **asdict(report)}
        write_output("--json", arguments.json, json.dumps(figures, indent=2) + "\n")
    return ExitCode.UNREADABLE if report.problems else ExitCode.KEPT


def _read_existing(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file or folder") from error
