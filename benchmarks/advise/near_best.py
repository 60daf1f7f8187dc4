"""How near the setting of `perfsuite advise` is to the best of an exhaustive sweep taken in turns.

python -m benchmarks.advise.near_best images/ --repeats 10 --seconds 120 --sweep-seconds 300

Each repeat asks for advice, then measures the advised setting and every combination of workers and engines in
the same turns. The advised setting counts as good where it takes at most 5 % longer than the fastest, by the
median of the paired ratios; the interval is shown beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from perfsuite.advise.loader_advice.measure import AdviceRequest, measure_advice
from perfsuite.advise.machine import describe_machine
from perfsuite.advise.sweep.advice import format_ratio
from perfsuite.advise.sweep.config import SweepConfig
from perfsuite.advise.sweep.measure import measure_sweep
from perfsuite.advise.sweep.report import LoaderSetting, SweepReport
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


def run_repeat(folder: Path, seconds: float, sweep_seconds: float) -> Repeat:
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
    report = exhaustive_sweep(source, config, advised, counts, sweep_seconds)
    # An engine without workers has a name of its own in the results.
    result = next(
        each
        for each in report.results
        if (each.setting.num_workers, each.setting.prefetch_factor)
        == (advised.num_workers, advised.prefetch_factor)
        and (not advised.num_workers or each.setting.engine == advised.engine)
    )
    return Repeat(advised, report.fastest.setting, report.slowdown(result), advice_seconds)


def exhaustive_sweep(
    source: object, config: SweepConfig, advised: LoaderSetting, counts: tuple[int, ...], seconds: float
) -> SweepReport:
    """Every number of workers with every engine and number of batches ahead, without stopping any."""
    product = [
        setting for ahead in (1, 2, 4) for setting in worker_candidates(counts, ENGINES, "auto", ahead)
    ]
    settings = tuple(dict.fromkeys([*product, advised]))
    exhaustive = replace(config, only=settings, with_plain_mode=False, seconds=seconds)
    return measure_sweep(ImageLoaders(source, exhaustive), exhaustive)  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--sweep-seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    repeats = []
    for _ in range(arguments.repeats):
        repeat = run_repeat(arguments.folder, arguments.seconds, arguments.sweep_seconds)
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
