"""Which training step is measured: options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import isfinite

from perfsuite.judge.units import Range

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}, expected 1 or more")
    return number


def nonnegative_int(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number}, expected 0 or more")
    return number


def positive_float(text: str) -> float:
    return _bounded_float(text, lambda number: number > 0, "above 0")


def nonnegative_float(text: str) -> float:
    return _bounded_float(text, lambda number: number >= 0, "0 or more")


def fraction(text: str) -> float:
    return _bounded_float(text, lambda number: 0 <= number < 1, "0 or more and below 1")


def within(expected: Range) -> Callable[[str], float]:
    """For argparse: a number in a range of the settings.

    >>> within(Range(0, 1))("0.05")
    0.05
    """

    def number(text: str) -> float:
        value = int(text) if expected.whole else float(text)
        if value not in expected:
            raise argparse.ArgumentTypeError(f"{text}, expected {expected}")
        return value

    return number


def _bounded_float(text: str, is_good: Callable[[float], bool], expected: str) -> float:
    number = float(text)
    if not (isfinite(number) and is_good(number)):
        raise argparse.ArgumentTypeError(f"{text}, expected {expected}")
    return number


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="small", help="small, resnet18, resnet18-cifar, resnet50 (small)")
    parser.add_argument(
        "--image-size", type=positive_int, default=64, metavar="PX", help="side in pixels (64)"
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=32, metavar="N", help="images a batch (32)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
