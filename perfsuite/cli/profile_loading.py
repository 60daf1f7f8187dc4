"""Time each stage of loading on one core: images per second, share, and what to do about the slowest.

  perfsuite profile loading --data-dir images/
  perfsuite profile loading --data-dir images/ --augmentation-mode moderate --annotations a.json
  perfsuite profile loading --loader my_package.data:make_loader
  perfsuite profile loading --data-dir images/ --cold-files    # files that are not in the page cache, too

Stages are timed in turns in one thread. Without options, synthetic images are loaded.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.cli.arguments import (
    DECODER_NAMES,
    add_augmentation_argument,
    add_batch_size_argument,
    add_image_size_argument,
    add_on_error_argument,
    add_seconds_argument,
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
    from perfsuite.advise.profile.cold_files import ColdFileTimes, NoColdFiles
    from perfsuite.advise.profile.loading import LoadingProfile

MAX_COLD_FILES = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_loader_arguments(parser)
    add_augmentation_argument(parser)
    add_on_error_argument(parser)
    add_image_size_argument(parser, 224)
    add_batch_size_argument(parser)
    parser.add_argument("--decoder", default="auto", metavar="NAME", help=f"{DECODER_NAMES} (auto)")
    parser.add_argument("--reduce", action="store_true", help="decode large JPEGs at a reduced scale")
    parser.add_argument(
        "--annotations", type=Path, metavar="FILE", help="boxes and polygons to transform with the images"
    )
    parser.add_argument(
        "--cold-files",
        action="store_true",
        help="read files that are not in the page cache too, for as long again",
    )
    add_seconds_argument(parser, 5.0)
    add_json_argument(parser)
    add_report_argument(parser)
    add_trace_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.profile.loading import profile_loading

    loader = open_train_loader(
        arguments,
        0,
        augmentation_mode=arguments.augmentation_mode,
        image_size=arguments.image_size,
        decoder=arguments.decoder,
        scaled_decode=arguments.reduce,
        annotations=arguments.annotations,
        on_error=arguments.on_error,
    )
    profile = profile_loading(loader, arguments.seconds)
    stream = text_stream(arguments.json)
    print_message(_table(profile), stream)
    values, cold_files = asdict(replace(profile, spans=())), None
    if arguments.cold_files and profile.is_complete:
        cold_files = _measure_cold_files(loader, arguments.seconds)
        print_message(_cold_table(cold_files, profile), stream)
        values["cold_files"] = asdict(cold_files)
    if arguments.json is not None:
        write_json("--json", arguments.json, values)
    write_trace(arguments, profile.spans)
    if arguments.report is not None:
        from perfsuite.advise.pages.loading_page import loading_document

        write_report(arguments, loading_document(profile, cold_files, command_line(arguments)))
    print_faults(loader, arguments.on_error)
    return exit_code_of(profile.is_complete)


def _measure_cold_files(loader: object, seconds: float) -> ColdFileTimes | NoColdFiles:
    from perfsuite.advise.profile.cold_files import measure_cold_files

    source: Any = getattr(loader, "source", None)
    source = getattr(source, "source", source)  # of a Subset
    if not hasattr(source, "path"):
        return measure_cold_files([], seconds)
    step = max(1, len(source) // MAX_COLD_FILES)
    return measure_cold_files([source.path(row) for row in range(0, len(source), step)], seconds)


def _cold_table(times: ColdFileTimes | NoColdFiles, profile: LoadingProfile) -> str:
    from perfsuite.advise.profile.cold_files import NoColdFiles
    from perfsuite.advise.run_time import format_time
    from perfsuite.advise.time_limit import format_duration

    if isinstance(times, NoColdFiles):
        return f"  cold files: not measured; {times.reason}"
    computing = sum(1 / stage.images_per_second for stage in profile.stages if stage.name != "read")
    warm = times.warm.value / (times.warm.value + computing)
    return (
        f"  reading a file that is warm: {format_time(times.warm)}, {warm:.0%} of loading; cold: "
        f"{format_time(times.cold)}, {times.share(computing):.0%} of loading ({times.files} files)\n"
        f"  computing (all other stages): {format_duration(computing)} an image"
    )


def _table(profile: LoadingProfile) -> str:
    width = max(len(stage.name) for stage in profile.stages)
    slowest, rate = profile.slowest, profile.images_per_second
    lines = [
        f"{profile.images:,} images on one core, {rate:,.0f} per second through all stages",
        f"  {'':{width}}   images/s    share",
        *(
            f"  {stage.name:{width}} {stage.images_per_second:12,.0f} {stage.share:8.1%}"
            for stage in profile.stages
        ),
        *_reading_lines(profile),
        *_augmentation_lines(profile),
        f"  slowest: {slowest.name}; without it at most {profile.max_speedup(slowest):.2f} times as fast",
    ]
    return "\n".join([*lines, f"  try: {slowest.advice}"] if slowest.advice else lines)


def _reading_lines(profile: LoadingProfile) -> list[str]:
    reading = sum(stage.share for stage in profile.stages if stage.name == "read")
    return [f"  reading {reading:.1%} of loading, computing {1 - reading:.1%}"] if reading else []


def _augmentation_lines(profile: LoadingProfile) -> list[str]:
    """Both definitions of overhead, and the parts as shares of loading."""
    from perfsuite.judge.amdahl import max_speedup_without

    shares = profile.augmentation_shares
    if not shares:
        return []
    share = sum(shares.values())
    parts = ", ".join(f"{part} {each:.1%}" for part, each in shares.items())
    over_plain = max_speedup_without(share) - 1
    return [f"  augmentation {share:.1%} of loading ({parts}), {over_plain:.1%} over plain loading"]
