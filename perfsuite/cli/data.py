"""Make folders of photograph-like JPEGs to measure with: the same bytes for the same seed."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from perfsuite.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make = actions.add_parser("make", help="make pictures in class folders, with labels and annotations")
    make.add_argument("folder", metavar="DIR", type=Path, help="absent or empty, or holding these pictures")
    make.add_argument("--images", type=int, default=512, metavar="N", help="how many (default 512)")
    make.add_argument("--classes", type=int, default=10, metavar="K", help="class folders (default 10)")
    make.add_argument("--seed", type=int, default=42, help="another seed, other pictures (default 42)")
    make.add_argument(
        "--size", metavar="WxH", help="all of one size, as 1280x720; by default they vary around 500x375"
    )


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.data import photos

    size = _size(arguments.size)
    try:
        photos.PhotoSettings(arguments.images, arguments.classes, arguments.seed, size)
    except ValueError as error:
        raise UsageError(str(error)) from error
    folder = photos.make(
        arguments.folder,
        images=arguments.images,
        classes=arguments.classes,
        seed=arguments.seed,
        size=size,
        progress=_show if sys.stderr.isatty() else None,
    )
    print(f"{folder}: {arguments.images} pictures in {arguments.classes} classes")
    return 0


def _size(told: str | None) -> tuple[int, int] | None:
    if told is None:
        return None
    found = re.fullmatch(r"(\d+)[xX](\d+)", told)
    if found is None:
        raise UsageError(f"data make: --size is {told!r}, expected WIDTHxHEIGHT such as 1280x720")
    return int(found[1]), int(found[2])


def _show(done: int, of: int) -> None:
    if done % 16 == 0 or done == of:
        print(f"\r{done} of {of} pictures", end="\n" if done == of else "", file=sys.stderr, flush=True)
