"""How near the setting of `perfsuite advise` is to the best of an exhaustive sweep taken in turns.

python -m benchmarks.advise.near_best images/ --repeats 10 --seconds 120 --sweep-seconds 120

Each repeat asks for advice, then measures the advised setting and every combination of workers and engines
in the same turns. The fastest of many owes a part of its lead to luck, so the advised setting and the fastest
then take turns by themselves. The advised setting counts as good where it takes at most 5 % longer, by the
median of their paired ratios; the interval is shown beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfsuite.advise.loader_advice.measure import AdviceRequest, measure_advice
from perfsuite.advise.machine import describe_machine
from perfsuite.advise.sweep.advice import format_ratio
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.measure import measure_sweep
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_loaders import ImageLoaders
from perfsuite.advise.tuning.candidates import worker_candidates, worker_counts
from perfsuite.advise.tuning.tune import SearchSpace
from perfsuite.data.sources.splits import read_splits
from perfsuite.judge.metrics import MetricEstimate

ENGINES = ("threads", "processes", "subprocess")
MAX_SLOWDOWN = 1.05


@dataclass(frozen=True, slots=True)
class Repeat:
    advised: LoaderSetting
    best: LoaderSetting
    slowdown: MetricEstimate
    advice_seconds: float

    @property
    def is_near(self) -> bool:
        return self.slowdown.value <= MAX_SLOWDOWN


def run_repeat(folder: Path, seconds: float, sweep_seconds: float, pair_seconds: float) -> Repeat:
    source = read_splits(folder, 0.0, 0.0)["train"]
    counts = worker_counts(describe_machine().cores)
    config = SweepConfig(num_workers=counts, seconds=seconds, loader_options={"image_size": 224})
    request = AdviceRequest(
        subject=str(folder),
        open_loaders=lambda config: ImageLoaders(source, config),
        space=SearchSpace(counts, ENGINES, (), (2, 1, 4), (32,)),
        config=config,
    )
    begin = time.perf_counter()
    advised = measure_advice(request).setting
    advice_seconds = time.perf_counter() - begin
    product = [
        setting for ahead in (1, 2, 4) for setting in worker_candidates(counts, ENGINES, "auto", ahead)
    ]
    sweep = measure_settings(source, config, [*product, advised], sweep_seconds)
    best = sweep.fastest.setting
    if best.as_option == advised.as_option:
        return Repeat(advised, best, sweep.slowdown(sweep.fastest), advice_seconds)
    pair = measure_settings(source, config, [advised, best.as_option], pair_seconds)
    found = {result.setting.as_option: result for result in pair.results}
    slowdown = pair.slowdown(found[advised.as_option], found[best.as_option])
    return Repeat(advised, best, slowdown, advice_seconds)


def measure_settings(
    source: Any, config: SweepConfig, settings: Sequence[LoaderSetting], seconds: float
) -> SweepReport:
    """All settings in turns, without stopping any."""
    only = tuple(dict.fromkeys(settings))
    exhaustive = replace(config, only=only, with_plain_mode=False, seconds=seconds)
    return measure_sweep(ImageLoaders(source, exhaustive), exhaustive)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--sweep-seconds", type=float, default=120.0)
    parser.add_argument("--pair-seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    repeats = []
    for _ in range(arguments.repeats):
        repeat = run_repeat(
            arguments.folder, arguments.seconds, arguments.sweep_seconds, arguments.pair_seconds
        )
        repeats.append(repeat)
        print(
            f"advised {repeat.advised.label} in {repeat.advice_seconds:.0f} s, best {repeat.best.label}: "
            f"takes {format_ratio(repeat.slowdown)} of its time{'' if repeat.is_near else '   <- too far'}",
            flush=True,
        )
    near = sum(repeat.is_near for repeat in repeats)
    print(f"{near} of {len(repeats)} within {MAX_SLOWDOWN - 1:.0%} of the best")
    return 0 if near >= 0.9 * len(repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
