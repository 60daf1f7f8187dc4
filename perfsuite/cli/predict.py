"""Classify images with a trained model: class, probability and time for each.

  perfsuite predict --model-path m.pth cat.jpg dog.png
  perfsuite predict --model-path m.pth --repeat 200 cat.jpg       latency: p50, p95, p99
  perfsuite predict --model-path m.pth --json *.jpg

Images keep their aspect: they are letterboxed to the size that the model was trained at.
The first image pays for loading the model, which is told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import COMPILE_MODES, nonnegative_int
from perfsuite.errors import DataError

if TYPE_CHECKING:
    from perfsuite.training.inference.predict import Prediction, Predictor

WARMUP_CALLS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--model-path", type=Path, default=Path("model.pth"), metavar="FILE", help="(model.pth)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument(
        "--compile",
        nargs="?",
        const="default",
        default="off",
        choices=COMPILE_MODES,
        metavar="MODE",
        help="torch.compile: pays in many calls, not in one",
    )
    parser.add_argument("--batch", action="store_true", help="all images as one batch, not one by one")
    parser.add_argument(
        "--repeat", type=nonnegative_int, default=0, metavar="N", help="then time N more calls of the first"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each image")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.training.devices import choose_device
    from perfsuite.training.inference.model_cache import ModelCache

    cache = ModelCache(device=choose_device(arguments.device), compile_mode=arguments.compile)
    began = perf_counter()
    predictor = cache.get(arguments.model_path)
    if not arguments.json:
        told = predictor.spec
        seconds = perf_counter() - began
        what = f"{told.model}, {len(told.class_names)} classes"
        print(f"{arguments.model_path}: {what}, loaded in {seconds:.2f} s")
    missed = _predict_batch(predictor, arguments) if arguments.batch else _predict_each(predictor, arguments)
    if missed:
        print(f"{missed} of {len(arguments.images)} images could not be read", file=sys.stderr)
        return 2
    if arguments.repeat > 0:
        _print_latency(predictor, arguments)
    return 0


def _predict_each(predictor: Predictor, arguments: argparse.Namespace) -> int:
    missed = 0
    for image in arguments.images:
        began = perf_counter()
        try:
            (prediction,) = predictor([image])
        except DataError as error:
            print(f"perfsuite predict: {error}", file=sys.stderr)
            missed += 1
            continue
        _print_prediction(image, prediction, perf_counter() - began, arguments.json)
    return missed


def _predict_batch(predictor: Predictor, arguments: argparse.Namespace) -> int:
    began = perf_counter()
    predictions = predictor(arguments.images)
    seconds = (perf_counter() - began) / len(predictions)
    for image, prediction in zip(arguments.images, predictions, strict=True):
        _print_prediction(image, prediction, seconds, arguments.json)
    return 0


def _print_prediction(image: Path, prediction: Prediction, seconds: float, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "image": str(image),
            "class": prediction.label,
            "probability": prediction.probability,
            "milliseconds": seconds * 1e3,
        }
        print(json.dumps(told))
    else:
        print(f"{image}: {prediction.label} {prediction.probability:.1%} ({seconds * 1e3:.1f} ms)")


def _print_latency(predictor: Predictor, arguments: argparse.Namespace) -> None:
    from perfsuite.judge.order_statistics import quantile

    first = [arguments.images[0]]
    for _ in range(WARMUP_CALLS):
        predictor(first)
    seconds = []
    for _ in range(arguments.repeat):
        began = perf_counter()
        predictor(first)
        seconds.append(perf_counter() - began)
    shares = {f"p{percent}": quantile(seconds, percent / 100) * 1e3 for percent in (50, 95, 99)}
    if arguments.json:
        print(json.dumps({"repeated": arguments.repeat, "milliseconds": shares}))
    else:
        told = ", ".join(f"{name} {value:.1f} ms" for name, value in shares.items())
        print(f"{arguments.repeat} calls after {WARMUP_CALLS} to warm up, from file to answer: {told}")
