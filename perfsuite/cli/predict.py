"""Classify pictures with a trained model: class, probability and time for each.

  perfsuite predict --model-path m.pth cat.jpg dog.png
  perfsuite predict --model-path m.pth --repeat 200 cat.jpg       latency: p50, p95, p99
  perfsuite predict --model-path m.pth --json *.jpg

Pictures keep their aspect: they are letterboxed to the size that the model was trained at.
The first picture pays for loading the model, which is told apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.cli.step_options import COMPILE_MODES, natural
from perfsuite.errors import DataError

if TYPE_CHECKING:
    from perfsuite.training.predict import Prediction, Predictor

WARM_UP = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
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
    parser.add_argument("--batch", action="store_true", help="all pictures as one batch, not one by one")
    parser.add_argument(
        "--repeat", type=natural, default=0, metavar="N", help="then time N more calls of the first"
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each picture")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.training.devices import choose_device
    from perfsuite.training.predict import ModelCache

    cache = ModelCache(device=choose_device(arguments.device), compile_mode=arguments.compile)
    began = perf_counter()
    predictor = cache.get(arguments.model_path)
    if not arguments.json:
        told = predictor.recipe
        seconds = perf_counter() - began
        what = f"{told.model}, {len(told.class_names)} classes"
        print(f"{arguments.model_path}: {what}, loaded in {seconds:.2f} s")
    missed = _batch(predictor, arguments) if arguments.batch else _one_by_one(predictor, arguments)
    if missed:
        print(f"{missed} of {len(arguments.pictures)} pictures could not be read", file=sys.stderr)
        return 2
    if arguments.repeat > 0:
        _show_latency(predictor, arguments)
    return 0


def _one_by_one(predictor: Predictor, arguments: argparse.Namespace) -> int:
    missed = 0
    for picture in arguments.pictures:
        began = perf_counter()
        try:
            (prediction,) = predictor([picture])
        except DataError as error:
            print(f"perfsuite predict: {error}", file=sys.stderr)
            missed += 1
            continue
        _show(picture, prediction, perf_counter() - began, arguments.json)
    return missed


def _batch(predictor: Predictor, arguments: argparse.Namespace) -> int:
    began = perf_counter()
    predictions = predictor(arguments.pictures)
    seconds = (perf_counter() - began) / len(predictions)
    for picture, prediction in zip(arguments.pictures, predictions, strict=True):
        _show(picture, prediction, seconds, arguments.json)
    return 0


def _show(picture: Path, prediction: Prediction, seconds: float, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "picture": str(picture),
            "class": prediction.label,
            "probability": prediction.probability,
            "milliseconds": seconds * 1e3,
        }
        print(json.dumps(told))
    else:
        print(f"{picture}: {prediction.label} {prediction.probability:.1%} ({seconds * 1e3:.1f} ms)")


def _show_latency(predictor: Predictor, arguments: argparse.Namespace) -> None:
    from perfsuite.judge.statistics import quantile

    first = [arguments.pictures[0]]
    for _ in range(WARM_UP):
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
        print(f"{arguments.repeat} calls after {WARM_UP} to warm up, from file to answer: {told}")
