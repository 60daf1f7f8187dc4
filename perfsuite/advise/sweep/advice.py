"""What to set after a sweep, in words, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from perfsuite.advise.sweep.results import (
    EQUIVALENCE_MARGIN,
    RelativeSpeed,
    SettingChoice,
    SettingResult,
    SweepReport,
)
from perfsuite.judge.metrics import MetricEstimate

OVERHEAD_WARNING = 0.3
BUSY_CORES = 0.9


def advise_on_sweep(sweep: SweepReport) -> list[str]:
    """The choice first, then what would change it."""
    choice = sweep.choice()
    return [
        *_choice_advice(sweep, choice),
        *_growth_advice(sweep, choice),
        *_augmentation_advice(choice.seen),
        *_main_thread_advice(choice.seen),
    ]


def format_ratio(found: MetricEstimate) -> str:
    """With its interval, where there is one.

    >>> from perfsuite.judge.verdict import Interval
    >>> format_ratio(MetricEstimate(1.9, Interval(1.8, 2.0, 0.99)))
    '1.90 (1.80 to 2.00)'
    """
    low, high = found.interval.low, found.interval.high
    if not (isfinite(low) and isfinite(high)):
        return f"{found.value:.2f} (too few turns for an interval)"
    return f"{found.value:.2f} ({low:.2f} to {high:.2f})"


def _choice_advice(sweep: SweepReport, choice: SettingChoice) -> Iterator[str]:
    seen = choice.seen
    if choice.is_clear:
        yield f"set {seen.setting}"
        yield _reason(sweep, seen)
        slower = [each for each in sweep.seen if sweep.relative_speed(each) is RelativeSpeed.SLOWER]
        beaten = [each for each in slower if each.setting.workers > seen.setting.workers]
        if beaten:
            yield f"more workers are slower here: {_setting_labels(beaten)}"
        return
    yield f"unclear: {_setting_labels([seen, *choice.undecided])} cannot be told apart; give more --seconds"
    for other in choice.undecided:
        if other is sweep.fastest:
            ratio = format_ratio(sweep.slowdown(seen))
            yield f"until then {seen.setting}: its time is {ratio} of that of the fastest"


def _reason(sweep: SweepReport, seen: SettingResult) -> str:
    reference, fastest = sweep.reference, sweep.fastest
    if seen is reference:
        if len(sweep.seen) == 1:
            return "there was nothing to compare it with"
        return f"because more do not pay here: nothing was more than {EQUIVALENCE_MARGIN:.0%} faster"
    gain = f"it loads {format_ratio(sweep.speedup(seen))} times what {_setting_label(reference)} does"
    if seen is fastest:
        return f"because {gain}, and fewer are slower"
    return (
        f"because {gain}; {_setting_label(fastest)}, the fastest, takes no less than "
        f"{1 / max(1.0, sweep.slowdown(seen).interval.high):.2f} of its time"
    )


def _growth_advice(sweep: SweepReport, choice: SettingChoice) -> Iterator[str]:
    most = max(seen.setting.workers for seen in sweep.seen)
    if choice.is_clear and choice.seen.setting.workers == most and len(sweep.seen) > 1 and most:
        yield f"it was still growing at {most}: try more as well (--workers {most} {2 * most})"


def _augmentation_advice(seen: SettingResult) -> Iterator[str]:
    cost = seen.overhead
    if cost is None:
        return
    if cost.interval.low > OVERHEAD_WARNING:
        yield (
            f"augmentation costs {cost.value:.0%}: do it on the device "
            "(perfsuite.transforms.augment.device), "
            "or show finished images again (cache= with cache_epochs=)"
        )


def _main_thread_advice(seen: SettingResult) -> Iterator[str]:
    used = seen.core_use
    if used is not None and seen.setting.workers and used.main > BUSY_CORES:
        yield (
            "the thread that takes the batches is busy all the time: hand bytes on and normalize where they "
            "are used (normalize=Normalize(dtype=torch.uint8), device=)"
        )


def _setting_labels(seen: list[SettingResult]) -> str:
    return ", ".join(_setting_label(each) for each in seen)


def _setting_label(seen: SettingResult) -> str:
    setting = seen.setting
    if not setting.workers:
        return "0 workers"
    return f"{setting.workers} {setting.engine} +{setting.prefetch_factor}"
