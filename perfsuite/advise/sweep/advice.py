"""Advise what to set after a sweep, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

from perfsuite.advise.machine import failure_advice, platform_advice
from perfsuite.advise.run_time import format_time, scale
from perfsuite.advise.sweep.report import EQUIVALENCE_MARGIN, RelativeSpeed, SettingChoice, SweepReport
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.judge.metrics import MetricEstimate

OVERHEAD_WARNING = 0.3  # of the time of a batch
BUSY_CORES = 0.9


def advise_on_sweep(report: SweepReport) -> list[str]:
    """The choice first, then what would change it."""
    choice = report.choice()
    return [
        *_choice_advice(report, choice),
        *growth_advice(report, choice),
        *_time_advice(report, choice.result),
        *augmentation_advice(choice.result),
        *main_thread_advice(choice.result),
        *_bottleneck_advice(report, choice.result),
        *(() if report.machine is None else platform_advice(report.machine, choice.result.demand)),
        *failure_advice(report.failures),
    ]


def format_ratio(ratio: MetricEstimate) -> str:
    """A ratio with its interval, where there is one.

    >>> from perfsuite.judge.verdict import Interval
    >>> format_ratio(MetricEstimate(1.9, Interval(1.8, 2.0, 0.99)))
    '1.90 (1.80 to 2.00)'
    """
    low, high = ratio.interval.low, ratio.interval.high
    if not (isfinite(low) and isfinite(high)):
        return f"{ratio.value:.2f} (too few turns for an interval)"
    return f"{ratio.value:.2f} ({low:.2f} to {high:.2f})"


def _choice_advice(report: SweepReport, choice: SettingChoice) -> Iterator[str]:
    chosen = choice.result
    if choice.is_clear:
        yield f"set {chosen.setting}"
        yield _reason(report, chosen)
        slower = [
            result
            for result in report.results
            if result.setting.num_workers > chosen.setting.num_workers
            and report.relative_speed(result) is RelativeSpeed.SLOWER
        ]
        if slower:
            yield f"more workers are slower here: {_labels(slower)}"
        return
    yield (f"unclear: the turns do not separate {_labels([chosen, *choice.undecided])}; give more --seconds")
    if report.fastest in choice.undecided:
        ratio = format_ratio(report.slowdown(chosen))
        yield f"until then {chosen.setting}: its time is {ratio} of that of the fastest"


def _reason(report: SweepReport, chosen: SettingResult) -> str:
    reference, fastest = report.reference, report.fastest
    if chosen is reference:
        if len(report.results) == 1:
            return "there was no other setting to compare it with"
        return f"because more workers do not pay off here: none was over {EQUIVALENCE_MARGIN:.0%} faster"
    gain = f"it loads {format_ratio(report.speedup(chosen))} times what {reference.setting.label} does"
    if chosen is fastest:
        return f"because {gain}, and fewer workers are slower"
    return (
        f"because {gain}; {fastest.setting.label}, the fastest, takes no less than "
        f"{1 / max(1.0, report.slowdown(chosen).interval.high):.2f} of its time"
    )


def growth_advice(report: SweepReport, choice: SettingChoice) -> Iterator[str]:
    most = max(result.setting.num_workers for result in report.results)
    if choice.is_clear and choice.result.setting.num_workers == most and len(report.results) > 1 and most:
        yield f"the rate still grew at {most}: try more too (--num-workers {most} {2 * most})"


def _time_advice(report: SweepReport, result: SettingResult) -> Iterator[str]:
    """The time of an epoch and of a run with the chosen setting, from the measured rates."""
    whole = "" if report.images_per_epoch is None else f"an epoch of {report.images_per_epoch:,} images"
    for what, epoch in (
        ("loading", report.loading_epoch(result)),
        ("training, if nothing else slows it,", report.training_epoch(result)),
    ):
        if epoch is not None:
            run = format_time(scale(epoch, report.epochs))
            yield f"{what} {whole} takes {format_time(epoch)}; {report.epochs} epochs take {run}"


def _bottleneck_advice(report: SweepReport, result: SettingResult) -> Iterator[str]:
    ratio = report.loading_over_step(result)
    if ratio is None:
        yield "give --model to compare loading with a training step (bottleneck, time of a run)"
    elif ratio.interval.low > 1:
        yield f"loading is not the bottleneck: {format_ratio(ratio)} times the rate of training"
    elif ratio.interval.high < 1:
        yield (
            f"loading is the bottleneck: {format_ratio(ratio)} times the rate of training; use more workers, "
            "smaller images or a cache"
        )


def augmentation_advice(result: SettingResult) -> Iterator[str]:
    share, overhead = result.overhead_share, result.overhead
    if share is not None and overhead is not None and share.interval.low > OVERHEAD_WARNING:
        yield (
            f"augmentation costs {share.value:.0%} of a batch's time ({overhead.value:.0%} over plain): do "
            "it on the device "
            "(perfsuite.transforms.augment.device), or reuse augmented images (cache= with cache_epochs=)"
        )


def main_thread_advice(result: SettingResult) -> Iterator[str]:
    cores = result.core_use
    if cores is not None and result.setting.num_workers and cores.main_thread > BUSY_CORES:
        yield (
            "the thread that takes the batches is always busy: let it pass on bytes, and normalize on the "
            "device (normalize=Normalize(dtype=torch.uint8), device=)"
        )


def _labels(results: Iterable[SettingResult]) -> str:
    return ", ".join(result.setting.label for result in results)
