"""What to set after a sweep, in words, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from perfsuite.advise.sweep import WORTH_A_WORKER, Choice, Seen, Standing, Sweep
from perfsuite.judge.limits import Found

WARNED_OF_OVERHEAD = 0.3
BUSY_CORES = 0.9


def advice(sweep: Sweep) -> list[str]:
    """The choice first, then what would change it."""
    choice = sweep.choice()
    return [
        *_choice(sweep, choice),
        *_growth(sweep, choice),
        *_augmentation(choice.seen),
        *_main_thread(choice.seen),
    ]


def ratio_in_words(found: Found) -> str:
    """With its interval, where there is one.

    >>> from perfsuite.judge.verdict import Interval
    >>> ratio_in_words(Found(1.9, Interval(1.8, 2.0, 0.99)))
    '1.90 (1.80 to 2.00)'
    """
    low, high = found.interval.low, found.interval.high
    if not (isfinite(low) and isfinite(high)):
        return f"{found.estimate:.2f} (too few turns for an interval)"
    return f"{found.estimate:.2f} ({low:.2f} to {high:.2f})"


def _choice(sweep: Sweep, choice: Choice) -> Iterator[str]:
    seen = choice.seen
    if choice.is_clear:
        yield f"set {seen.setting}"
        yield _reason(sweep, seen)
        slower = [each for each in sweep.seen if sweep.standing(each) is Standing.SLOWER]
        beaten = [each for each in slower if each.setting.workers > seen.setting.workers]
        if beaten:
            yield f"more workers are slower here: {_named(beaten)}"
        return
    yield f"unclear: {_named([seen, *choice.in_doubt])} cannot be told apart; give more --seconds"
    for other in choice.in_doubt:
        if other is sweep.fastest:
            ratio = ratio_in_words(sweep.slowdown(seen))
            yield f"until then {seen.setting}: its time is {ratio} of that of the fastest"


def _reason(sweep: Sweep, seen: Seen) -> str:
    reference, fastest = sweep.reference, sweep.fastest
    if seen is reference:
        if len(sweep.seen) == 1:
            return "there was nothing to compare it with"
        return f"because more do not pay here: nothing was more than {WORTH_A_WORKER:.0%} faster"
    gain = f"it loads {ratio_in_words(sweep.speedup(seen))} times what {_name(reference)} does"
    if seen is fastest:
        return f"because {gain}, and fewer are slower"
    return (
        f"because {gain}; {_name(fastest)}, the fastest, takes no less than "
        f"{1 / max(1.0, sweep.slowdown(seen).interval.high):.2f} of its time"
    )


def _growth(sweep: Sweep, choice: Choice) -> Iterator[str]:
    most = max(seen.setting.workers for seen in sweep.seen)
    if choice.is_clear and choice.seen.setting.workers == most and len(sweep.seen) > 1 and most:
        yield f"it was still growing at {most}: try more as well (--workers {most} {2 * most})"


def _augmentation(seen: Seen) -> Iterator[str]:
    cost = seen.overhead
    if cost is None:
        return
    if cost.interval.low > WARNED_OF_OVERHEAD:
        yield (
            f"augmentation costs {cost.estimate:.0%}: do it on the device (perfsuite.transforms.on_device), "
            "or show finished pictures again (cache= with cache_epochs=)"
        )


def _main_thread(seen: Seen) -> Iterator[str]:
    used = seen.used
    if used is not None and seen.setting.workers and used.main > BUSY_CORES:
        yield (
            "the thread that takes the batches is busy all the time: hand bytes on and normalise where they "
            "are used (normalise=Normalise(dtype=torch.uint8), device=)"
        )


def _named(seen: list[Seen]) -> str:
    return ", ".join(_name(each) for each in seen)


def _name(seen: Seen) -> str:
    setting = seen.setting
    if not setting.workers:
        return "0 workers"
    return f"{setting.workers} {setting.engine} +{setting.prefetch}"
