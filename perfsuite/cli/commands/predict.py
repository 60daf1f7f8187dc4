"""Classify images with a trained model: class, probability and time of each.

  perfsuite predict --model-path m.pth cat.jpg dog.png
  perfsuite predict --model-path m.pth --repeat 200 cat.jpg    # latency: p50, p95, p99
  perfsuite predict --model-path m.pth --json - *.jpg          # a line of JSON per image

Images keep their aspect ratio: they are letterboxed to the size that the model was trained at.
The time to load the model is reported apart from that of the images.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import COMPILE_MODES, NONNEGATIVE_INT, add_device_argument, number
from perfsuite.cli.output import STDOUT, add_json_argument, print_message, text_stream, write_output
from perfsuite.errors import DataError

if TYPE_CHECKING:
    from perfsuite.training.inference.predict import Prediction, Predictor

WARMUP_CALLS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--model-path",
        type=Path,
        default=Path("model.pth"),
        metavar="FILE",
        help="a model of `perfsuite train` (model.pth)",
    )
    add_device_argument(parser)
    parser.add_argument(
        "--compile",
        nargs="?",
        const="default",
        default="off",
        choices=COMPILE_MODES,
        metavar="MODE",
        help="torch.compile: pays off over many calls",
    )
    parser.add_argument("--batch", action="store_true", help="classify all images as one batch")
    parser.add_argument(
        "--repeat",
        type=number(NONNEGATIVE_INT),
        default=0,
        metavar="N",
        help="then time N more calls with the first image",
    )
    add_json_argument(parser, "a line per image")


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.training.devices import choose_device
    from perfsuite.training.inference.model_cache import ModelCache

    cache = ModelCache(device=choose_device(arguments.device), compile_mode=arguments.compile)
    begin = perf_counter()
    predictor = cache.get(arguments.model_path)
    seconds = perf_counter() - begin
    spec, output = predictor.spec, _Output(arguments.json)
    output.print(
        f"{arguments.model_path}: {spec.model}, {len(spec.class_names)} classes, loaded in {seconds:.2f} s"
    )
    predict = _predict_batch if arguments.batch else _predict_each
    unreadable = predict(predictor, arguments.images, output)
    if unreadable:
        output.close()
        raise DataError(
            f"{unreadable} of {len(arguments.images)} images could not be read, expected none; "
            "see the messages above"
        )
    if arguments.repeat > 0:
        _time_repeated(predictor, arguments.images[0], arguments.repeat, output)
    output.close()
    return 0


class _Output:
    """Text for people, and JSON lines at once (`-`) or in a file at the end."""

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._text = text_stream(target)
        self._lines: list[str] = []

    def print(self, text: str) -> None:
        print_message(text, self._text)

    def record(self, values: Mapping[str, Any]) -> None:
        from perfsuite.report.formats.json import dump_json

        line = dump_json(values, indent=None)
        if self._target == STDOUT:
            print(line, end="")
        else:
            self._lines.append(line)

    def close(self) -> None:
        if self._target not in (None, STDOUT):
            write_output("--json", str(self._target), "".join(self._lines))


def _predict_each(predictor: Predictor, images: list[Path], output: _Output) -> int:
    """The number of images that could not be read."""
    unreadable = 0
    for image in images:
        begin = perf_counter()
        try:
            (prediction,) = predictor([image])
        except DataError as error:
            print_message(f"perfsuite predict: {error}")
            unreadable += 1
            continue
        _report(image, prediction, perf_counter() - begin, output)
    return unreadable


def _predict_batch(predictor: Predictor, images: list[Path], output: _Output) -> int:
    begin = perf_counter()
    predictions = predictor(images)
    seconds = (perf_counter() - begin) / len(predictions)
    for image, prediction in zip(images, predictions, strict=True):
        _report(image, prediction, seconds, output)
    return 0


def _report(image: Path, prediction: Prediction, seconds: float, output: _Output) -> None:
    output.print(f"{image}: {prediction.label} {prediction.probability:.1%} ({seconds * 1e3:.1f} ms)")
    output.record(
        {
            "image": str(image),
            "class": prediction.label,
            "probability": prediction.probability,
            "milliseconds": seconds * 1e3,
        }
    )


def _time_repeated(predictor: Predictor, image: Path, calls: int, output: _Output) -> None:
    from perfsuite.judge.order_statistics import quantile

    for _ in range(WARMUP_CALLS):
        predictor([image])
    seconds = []
    for _ in range(calls):
        begin = perf_counter()
        predictor([image])
        seconds.append(perf_counter() - begin)
    milliseconds = {f"p{percent}": quantile(seconds, percent / 100) * 1e3 for percent in (50, 95, 99)}
    percentiles = ", ".join(f"{name} {value:.1f} ms" for name, value in milliseconds.items())
    output.print(f"{calls} calls after {WARMUP_CALLS} warm-up calls, from file to prediction: {percentiles}")
    output.record({"repeated": calls, "milliseconds": milliseconds})
