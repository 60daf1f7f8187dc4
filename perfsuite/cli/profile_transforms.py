"""Time each transform of a pipeline and the whole, at several sizes, with keypoints and without.

  perfsuite profile transforms --pipeline albumentations --input-size 1280x720
  perfsuite profile transforms --pipeline moderate --input-size 224x224 --input-size 512x512
  perfsuite profile transforms --pipeline operations    # elastic and grid distortion beside cheap operations
  perfsuite profile transforms --pipeline my_package.pipelines:validation

Each step is timed on its real input, in turns with the whole pipeline.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING

from perfsuite.cli.arguments import NONNEGATIVE_INT, POSITIVE_INT, add_seconds_argument, number, size
from perfsuite.cli.output import add_json_argument, print_message, text_stream, write_json
from perfsuite.cli.report_option import (
    add_report_argument,
    add_trace_argument,
    command_line,
    write_report,
    write_trace,
)

if TYPE_CHECKING:
    from perfsuite.advise.profile.transforms import PipelineProfile, StepTimes

MS_PER_SECOND = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline",
        default="letterbox",
        metavar="NAME",
        help="letterbox, albumentations, operations, conservative, moderate, aggressive, or module:name of "
        "your own: an albumentations or torchvision Compose or transform, a callable that takes an image, "
        "or a "
        "list of perfsuite.advise.profile.transforms.PipelineStep (letterbox)",
    )
    parser.add_argument(
        "--input-size",
        action="append",
        type=size,
        metavar="WxH",
        help="width and height of the image; may be repeated (1280x720)",
    )
    parser.add_argument(
        "--keypoints",
        type=number(NONNEGATIVE_INT),
        default=17,
        metavar="N",
        help="profile each size without keypoints and with this many; 0 profiles only without (17)",
    )
    parser.add_argument(
        "--output-size",
        type=number(POSITIVE_INT),
        default=640,
        metavar="PX",
        help="height and width that letterbox and albumentations produce (640)",
    )
    add_seconds_argument(parser, 2.0, "time for each profile")
    add_json_argument(parser, "every time of every turn")
    add_report_argument(parser)
    add_trace_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    from perfsuite.advise.profile.pipelines.registry import load_pipeline
    from perfsuite.advise.profile.transforms import profile_pipeline, synthetic_sample

    steps = load_pipeline(arguments.pipeline, arguments.output_size)
    moves_keypoints = any(step.moves_keypoints for step in steps)
    counts = [0, arguments.keypoints] if arguments.keypoints and moves_keypoints else [0]
    profiles: list[PipelineProfile] = []
    try:
        for width, height in arguments.input_size or [(1280, 720)]:
            for keypoints in counts:
                sample = synthetic_sample(height, width, keypoints)
                profiles.append(profile_pipeline(steps, sample, arguments.seconds))
                # At once: what stops a later size must not lose this table.
                stream = text_stream(arguments.json)
                print_message(_table(arguments.pipeline, profiles[-1]) + "\n", stream)
    finally:
        if arguments.json is not None and profiles:
            values = {"pipeline": arguments.pipeline, "profiles": [asdict(profile) for profile in profiles]}
            write_json("--json", arguments.json, values)
        if arguments.report is not None and profiles:
            from perfsuite.advise.pages.transforms_page import transforms_document

            document = transforms_document(arguments.pipeline, profiles, command_line(arguments))
            write_report(arguments, document)
    if arguments.trace is not None:
        from perfsuite.advise.profile.transforms import trace_pipeline

        write_trace(arguments, trace_pipeline(steps, sample))
    return 0


def _table(name: str, profile: PipelineProfile) -> str:
    height, width = profile.shape[:2]
    keypoints = f", {profile.keypoints} keypoints" if profile.keypoints else ""
    column = max(len(step.name) for step in (*profile.steps, profile.whole))
    lines = [
        f"{name} at {width}x{height}{keypoints} ({len(profile.whole.seconds)} turns each, ms per image)",
        f"  {'':{column}}     mean        std      min      max   share",
        *(f"  {_row(step, column)}  {profile.share(step):6.1%}" for step in profile.steps),
        f"  {'sum':{column}} {profile.sum_of_step_means * MS_PER_SECOND:8.3f}",
        f"  {_row(profile.whole, column)}",
        f"  slowest: {profile.slowest.name}; {_format_gain(profile)}",
    ]
    if profile.slowest.advice:
        lines.append(f"  try: {profile.slowest.advice}")
    return "\n".join(lines)


def _format_gain(profile: PipelineProfile) -> str:
    gain = profile.max_speedup(profile.slowest)
    return f"without it at most {gain:.2f} times as fast" if isfinite(gain) else "nothing else takes time"


def _row(step: StepTimes, column: int) -> str:
    mean, std, minimum, maximum = (
        seconds * MS_PER_SECOND for seconds in (step.mean, step.std, step.minimum, step.maximum)
    )
    return f"{step.name:{column}} {mean:8.3f}  {std:9.3f} {minimum:8.3f} {maximum:8.3f}"
