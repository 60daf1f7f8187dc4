"""Which training step is measured: options that several commands share."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}, expected 1 or more")
    return number


def add_step_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="small", help="small, resnet18, resnet18-cifar, resnet50 (small)")
    parser.add_argument("--image-size", type=positive, default=64, metavar="PX", help="side in pixels (64)")
    parser.add_argument("--batch-size", type=positive, default=32, metavar="N", help="pictures a batch (32)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
