"""Time each transform of a pipeline beside the whole, at several sizes, with keypoints and without.

perfsuite profile transforms --pipeline albumentations --size 1280x720
perfsuite profile transforms --pipeline moderate --size 224x224 --size 512x512
perfsuite profile transforms --pipeline parts     (elastic and grid distortion beside what is cheap)
perfsuite profile transforms --pipeline mypackage.pipelines:validation
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from math import isfinite

from perfsuite.advise.profile.transforms import (
    PipelineProfile,
    StepTimes,
    load_pipeline,
    profile_pipeline,
    synthetic_sample,
)
from perfsuite.errors import UsageError

MS_PER_SECOND = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pipeline",
        default="letterbox",
        metavar="NAME",
        help="letterbox, albumentations, parts, conservative, moderate, aggressive, or module:name of "
        "your own, a list of perfsuite.advise.profile.transforms.PipelineStep, or an albumentations Compose "
        "(default: letterbox)",
    )
    parser.add_argument(
        "--size",
        action="append",
        type=_parse_size,
        metavar="WxH",
        help="width and height of the image; may be given several times (default: 1280x720)",
    )
    parser.add_argument(
        "--keypoints",
        type=int,
        default=17,
        metavar="N",
        help="each size is profiled without keypoints and with so many; 0 leaves that out (default: 17)",
    )
    parser.add_argument(
        "--frame",
        type=int,
        default=640,
        metavar="SIDE",
        help="of letterbox and albumentations, in pixels (default: 640)",
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, metavar="S", help="for each profile (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="every time of every turn, for other programs")


def run(arguments: argparse.Namespace) -> int:
    if arguments.seconds <= 0 or arguments.keypoints < 0 or arguments.frame < 1:
        raise UsageError(
            "profile: expected --seconds above 0, --keypoints of 0 or more, --frame of 1 or more"
        )
    steps = load_pipeline(arguments.pipeline, arguments.frame)
    found = [
        profile_pipeline(steps, synthetic_sample(height, width, keypoints), arguments.seconds)
        for width, height in arguments.size or [(1280, 720)]
        for keypoints in ([0, arguments.keypoints] if arguments.keypoints else [0])
    ]
    if arguments.json:
        print(json.dumps({"pipeline": arguments.pipeline, "profiles": [asdict(one) for one in found]}))
        return 0
    print("\n\n".join(_table(arguments.pipeline, one) for one in found))
    return 0


def _table(name: str, found: PipelineProfile) -> str:
    height, width = found.shape[:2]
    with_keypoints = f", {found.keypoints} keypoints" if found.keypoints else ""
    wide = max(len(part.name) for part in (*found.steps, found.whole))
    lines = [
        f"{name} at {width}x{height}{with_keypoints} ({len(found.whole.seconds)} turns each, ms an image)",
        f"  {'':{wide}}     mean  deviation      min      max   share",
        *(f"  {_row(part, wide)}  {found.share(part):6.1%}" for part in found.steps),
        f"  {'sum':{wide}} {found.sum_of_step_means * MS_PER_SECOND:8.3f}",
        f"  {_row(found.whole, wide)}",
        f"  slowest: {found.slowest.name}; {_format_gain(found)}",
    ]
    if found.slowest.advice:
        lines.append(f"  try: {found.slowest.advice}")
    return "\n".join(lines)


def _format_gain(found: PipelineProfile) -> str:
    gain = found.max_speedup(found.slowest)
    return f"without it at most {gain:.2f} times as fast" if isfinite(gain) else "nothing else takes time"


def _row(part: StepTimes, wide: int) -> str:
    mean, deviation, least, most = (
        seconds * MS_PER_SECOND for seconds in (part.mean, part.std, part.minimum, part.maximum)
    )
    return f"{part.name:{wide}} {mean:8.3f}  {deviation:9.3f} {least:8.3f} {most:8.3f}"


def _parse_size(written: str) -> tuple[int, int]:
    width, _, height = written.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{written!r}, expected width x height such as 1280x720")
    return int(width), int(height)
