"""Argument types (numbers, durations, sizes) and the options that several commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsuite.discovery import entry_names
from perfsuite.judge.units import Range

POSITIVE_INT = Range(1, with_low=True, whole=True)
NONNEGATIVE_INT = Range(0, with_low=True, whole=True)
POSITIVE = Range(0)
NONNEGATIVE = Range(0, with_low=True)
FRACTION = Range(0, 1, with_low=True)
POSITIVE_FRACTION = Range(0, 1)

FAULT_POLICIES = ("raise", "skip", "substitute")  # as in perfsuite.data.faults, which imports Pillow
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_SECONDS_PER_UNIT = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([1-9]\d*)[xX]([1-9]\d*)")


def number(expected: Range) -> Callable[[str], float]:
    """An argparse type for a number in a range; a percentage is a number too.

    >>> number(POSITIVE_INT)("3"), number(FRACTION)("0.05"), number(FRACTION)("5%")
    (3, 0.05, 0.05)
    """

    def parse(text: str) -> float:
        try:
            value = int(text) if expected.whole else _float_or_percentage(text)
        except ValueError:
            value = None
        if value is None or value not in expected:
            raise argparse.ArgumentTypeError(f"{text}, expected {expected}")
        return value

    return parse


@dataclass(frozen=True, slots=True)
class CommaSeparated:
    """An argparse type for values with commas between them.

    >>> CommaSeparated(number(POSITIVE_INT))("2,4"), CommaSeparated(str)("threads")
    ((2, 4), ('threads',))
    """

    parse: Callable[[str], object]

    def __call__(self, text: str) -> tuple[object, ...]:
        return tuple(self.parse(part) for part in text.split(","))


def _float_or_percentage(text: str) -> float:
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def duration(text: str) -> float:
    """An argparse type for a time above 0, in seconds.

    >>> duration("90"), duration("90s"), duration("10m"), duration("1h")
    (90.0, 90.0, 600.0, 3600.0)
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS_PER_UNIT[match[2]] if match else 0.0
    if seconds not in POSITIVE:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a time above 0 such as 90s, 10m or 1h")
    return seconds


def size(text: str) -> tuple[int, int]:
    """An argparse type for a width and a height in pixels.

    >>> size("1280x720")
    (1280, 720)
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}, expected WIDTHxHEIGHT such as 1280x720")
    return int(match[1]), int(match[2])


def rename(text: str) -> tuple[str, str]:
    """An argparse type for OLD=NEW; where a name has an equals sign of its own, OLD==NEW.

    >>> rename("test_a=test_b"), rename("test[n=1]==test[m=1]")
    (('test_a', 'test_b'), ('test[n=1]', 'test[m=1]'))
    """
    old, _, new = text.partition("==" if "==" in text else "=")
    if not old or not new:
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected OLD=NEW, the old and the new name of a workload"
        )
    return old, new


# argparse's parsers and their groups take options alike, but share no public type.
Options = Any


def add_action(actions: Options, name: str, summary: str, *examples: str) -> argparse.ArgumentParser:
    """Add an action of a command, such as `data make`, with examples at the end of its help."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:],
        epilog="\n  ".join(("examples:", *examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_device_argument(options: Options) -> None:
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")


*_OTHER_DECODERS, _LAST_DECODER = entry_names("data/decoding/decoders")
DECODER_NAMES = f"auto, {', '.join(_OTHER_DECODERS)} or {_LAST_DECODER}"


def add_data_dir_argument(options: Options) -> None:
    options.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="images in class folders (default: synthetic images)"
    )


def add_augmentation_argument(options: Options) -> None:
    options.add_argument(
        "--augmentation-mode",
        metavar="MODE",
        help="mirror, conservative, moderate, aggressive or none (mirror)",
    )


def add_on_error_argument(options: Options) -> None:
    options.add_argument(
        "--on-error",
        choices=FAULT_POLICIES,
        default="raise",
        help="where an image cannot be read; what was skipped is listed at the end (raise)",
    )


def add_batch_size_argument(options: Options) -> None:
    options.add_argument(
        "--batch-size", type=number(POSITIVE_INT), default=32, metavar="N", help="images per batch (32)"
    )


def add_image_size_argument(options: Options, default: int | None, help_default: str = "") -> None:
    options.add_argument(
        "--image-size",
        type=number(POSITIVE_INT),
        default=default,
        metavar="PX",
        help=f"height and width in pixels ({help_default or default})",
    )


def add_seconds_argument(options: Options, default: float, what: str = "time to measure for") -> None:
    options.add_argument(
        "--seconds", type=duration, default=default, metavar="TIME", help=f"{what} ({default:g}s)"
    )


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    """The model and the batch of a measured training step."""
    parser.add_argument(
        "--model",
        default="small",
        help="small, resnet18, resnet18-cifar, resnet50, or MODULE:NAME of your own (small)",
    )
    add_image_size_argument(parser, 64)
    add_batch_size_argument(parser)
    add_device_argument(parser)


def step_argv(arguments: argparse.Namespace) -> list[str]:
    """The words that repeat the options of `add_step_arguments` and --seconds."""
    return [
        *("--model", arguments.model, "--image-size", str(arguments.image_size)),
        *("--batch-size", str(arguments.batch_size), "--seconds", f"{arguments.seconds:g}"),
        *(("--device", arguments.device) if arguments.device != "auto" else ()),
    ]
