"""Time each stage of training, from reading a file to the optimizer: shares, and what removing one can give.

  perfsuite profile step --data-dir images/ --model resnet18
  perfsuite profile step --loader my_package.data:make_loader --model my_package.models:Net --num-workers 4

All stages run in one thread, batch by batch. With --num-workers the loader is timed with workers too, for the
bound where it works beside the step.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, replace
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import (
    NONNEGATIVE_INT,
    POSITIVE_INT,
    add_augmentation_argument,
    add_on_error_argument,
    add_seconds_argument,
    add_step_arguments,
    number,
)
from perfsuite.cli.fault_lines import print_faults
from perfsuite.cli.input_options import add_loader_arguments, open_train_loader
from perfsuite.cli.output import add_json_argument, exit_code_of, print_message, text_stream, write_json
from perfsuite.cli.report_option import (
    add_report_argument,
    add_trace_argument,
    command_line,
    write_report,
    write_trace,
)

if TYPE_CHECKING:
    from perfsuite.advise.profile.step import StepProfile
    from perfsuite.judge.metrics import MetricEstimate

MS_PER_SECOND = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_loader_arguments(parser)
    add_augmentation_argument(parser)
    add_on_error_argument(parser)
    add_step_arguments(parser)
    parser.add_argument(
        "--num-workers",
        type=number(NONNEGATIVE_INT),
        default=2,
        metavar="N",
        help="workers of the loader whose rate gives the bound with overlap; 0 leaves that out (2)",
    )
    parser.add_argument(
        "--epochs", type=number(POSITIVE_INT), default=50, metavar="N", help="of the estimated run (50)"
    )
    add_seconds_argument(parser, 20.0)
    add_json_argument(parser)
    add_report_argument(parser)
    add_trace_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.inputs.loaders import close_loader
    from perfsuite.advise.profile.stage_loaders import without_workers
    from perfsuite.advise.profile.step import profile_step
    from perfsuite.advise.sweep.setting_loaders import count_images
    from perfsuite.measure.clock import make_clock
    from perfsuite.training.devices import choose_device

    device = choose_device(arguments.device)
    options = {
        "augmentation_mode": arguments.augmentation_mode,
        "image_size": arguments.image_size,
        "on_error": arguments.on_error,
    }
    loader = open_train_loader(arguments, 0, **options)
    model = _model(arguments.model, loader).to(device)
    share = 0.5 if arguments.num_workers else 1.0
    profile = profile_step(without_workers(loader), model, make_clock(str(device)), share * arguments.seconds)
    if arguments.num_workers and profile.is_complete:
        workers = open_train_loader(arguments, arguments.num_workers, **options)
        try:
            seconds = _seconds_per_batch(workers, share * arguments.seconds)
        finally:
            close_loader(workers)
        profile = replace(profile, loading_seconds_with_workers=seconds, num_workers=arguments.num_workers)
    print_message(_table(profile), text_stream(arguments.json))
    for line in (*_memory_lines(profile), *_epoch_lines(profile, count_images(loader), arguments.epochs)):
        print_message(line, text_stream(arguments.json))
    if arguments.json is not None:
        write_json("--json", arguments.json, asdict(replace(profile, spans=())))
    write_trace(arguments, profile.spans)
    if arguments.report is not None:
        from perfsuite.advise.pages.step_page import step_document

        write_report(arguments, step_document(profile, command_line(arguments)))
    print_faults(loader, arguments.on_error)
    return exit_code_of(profile.is_complete)


def _model(name: str, loader: Iterable[Any]) -> Any:
    """The model, with as many classes as its scores need for the labels of the first batch."""
    from perfsuite.advise.inputs.batches import images_and_labels
    from perfsuite.advise.inputs.models import load_model_for

    return load_model_for(name, *images_and_labels(next(iter(loader)), "profile step"))


def _seconds_per_batch(loader: Iterable[Any], seconds: float) -> float:
    """The mean time of a batch of the loader alone; the first pass starts its workers and is not timed."""
    end = perf_counter() + seconds
    next(iter(loader))
    batches, begin = 0, perf_counter()
    while True:
        for _ in loader:
            batches += 1
            if perf_counter() >= end:
                break
        if perf_counter() >= end:
            return (perf_counter() - begin) / batches


def _table(profile: StepProfile) -> str:
    width = max(len(name) for name in profile.stage_seconds)
    overlap = profile.loading_seconds_with_workers is not None
    head = "with workers" if overlap else ""
    lines = [
        f"{profile.batches} batches of {profile.images_per_batch:.0f} images, all stages in one thread",
        f"  {'':{width}} ms/batch   share          99 %   without it at most",
        *(_row(profile, name, width) for name in profile.slowest_first),
        f"  loading {profile.share(*profile.loading_stages).value:.0%}, "
        f"forward and backward {profile.share('forward', 'backward').value:.0%}",
    ]
    if overlap:
        lines[1] += f"   {head}"
        lines.append(
            f"  with {profile.num_workers} workers beside the step, a batch loads in "
            f"{(profile.loading_seconds_with_workers or 0.0) * MS_PER_SECOND:.1f} ms; the slower side counts"
        )
    return "\n".join(lines)


def _row(profile: StepProfile, name: str, width: int) -> str:
    share = profile.share(name)
    overlapped = profile.bound_with_overlap(name)
    bounds = _factor(profile.bound_without_overlap(name))
    if overlapped is not None:
        bounds += f"   {_factor(overlapped):>12}"
    return (
        f"  {name:{width}} {profile.mean_seconds(name) * MS_PER_SECOND:8.2f} {share.value:7.1%} "
        f"{_percent_interval(share):>13}   {bounds:>18}"
    )


def _percent_interval(share: MetricEstimate) -> str:
    low, high = share.interval.low, share.interval.high
    if not (isfinite(low) and isfinite(high)):
        return "too few"
    return f"{100 * low:.1f}-{100 * high:.1f}"


def _factor(speedup: float) -> str:
    return f"{speedup:.2f}x" if isfinite(speedup) else "all of it"


def _memory_lines(profile: StepProfile) -> list[str]:
    from perfsuite.judge.units import MetricKind, format_quantity

    memory = profile.memory
    if memory is None:
        return []
    host, device = (
        "-" if size is None else format_quantity(size, MetricKind.BYTES)
        for size in (memory.host_peak_bytes, memory.device_peak_bytes)
    )
    batch = format_quantity(memory.batch_bytes, MetricKind.BYTES)
    return [f"  memory: a batch {batch}, the process at most {host}, the device at most {device}"]


def _epoch_lines(profile: StepProfile, images: int | None, epochs: int) -> list[str]:
    """The time of an epoch and of a run, from the time of a batch without workers."""
    if images is None:
        return ["  the loader has no length, so the time of an epoch is unknown"]
    from perfsuite.advise.confidence import LEVEL
    from perfsuite.advise.run_time import epoch_seconds, format_time, scale

    per_image = [seconds / profile.images_per_batch for seconds in profile.batch_seconds]
    epoch = epoch_seconds(per_image, images, LEVEL)
    return [
        f"  an epoch of {images:,} images takes {format_time(epoch)} without workers; {epochs} epochs take "
        f"{format_time(scale(epoch, epochs))}"
    ]
