"""How long each transform of a pipeline takes, beside the whole: the steps and the whole are timed in turns.

>>> def double(sample: Sample) -> Sample: return Sample(sample.picture * 2, sample.keypoints)
>>> small = Sample(np.ones((4, 4, 3), dtype=np.uint8), np.empty((0, 2)))
>>> found = profile([Step("double", double)], small, seconds=0.01)
>>> found.slowest.name
'double'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.measure.clock import WallClock, do_not_wait
from perfsuite.measure.sampling import Plan
from perfsuite.measure.turns import take_turns
from perfsuite.measure.workload import Workload


@dataclass(frozen=True, slots=True)
class Sample:
    """What goes through a pipeline: a picture (in whatever form the steps leave it) and its keypoints."""

    picture: Any
    keypoints: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """A named transform and what to try where it is the slowest."""

    name: str
    apply: Callable[[Sample], Sample]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds per picture, one for each block of turns."""

    name: str
    seconds: tuple[float, ...]
    advice: str = ""

    @property
    def mean(self) -> float:
        return fmean(self.seconds)

    @property
    def deviation(self) -> float:
        return pstdev(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def most(self) -> float:
        return max(self.seconds)


@dataclass(frozen=True, slots=True)
class Profile:
    """The steps, and the whole pipeline timed in the same turns.

    >>> two = Profile((Timed("a", (0.003,)), Timed("b", (0.001,))), whole=Timed("whole", (0.005,)))
    >>> two.slowest.name, two.share(two.slowest), two.most_to_gain(two.slowest)
    ('a', 0.75, 2.5)
    """

    parts: tuple[Timed, ...]
    whole: Timed
    shape: tuple[int, ...] = ()
    keypoints: int = 0

    @property
    def sum_of_parts(self) -> float:
        return sum(part.mean for part in self.parts)

    @property
    def slowest(self) -> Timed:
        return max(self.parts, key=lambda part: part.mean)

    def share(self, part: Timed) -> float:
        """Of the sum of the parts, so that the shares are one together."""
        return part.mean / self.sum_of_parts

    def most_to_gain(self, part: Timed) -> float:
        """How many times faster the pipeline could at most become if the part took no time.

        No more than its share of the parts allows: on an uneasy machine one may take longer than the whole.
        """
        whole = max(self.whole.mean, self.sum_of_parts)
        rest = whole - part.mean
        return whole / rest if rest > 0 else float("inf")


def profile(steps: Sequence[Step], sample: Sample, seconds: float = 2.0) -> Profile:
    """Time every step on what the steps before it made of the sample, and the whole, in turns."""
    if not steps:
        raise UsageError("profile: a pipeline of no steps, expected at least one")
    workloads, given = [], sample
    for step in steps:
        workloads.append(Workload(step.name, _call(step, given)))
        given = step.apply(given)
    workloads.append(Workload("whole", lambda: _whole(steps, sample)))
    plan = Plan(
        min_rounds=3,
        min_seconds=seconds,
        max_seconds=seconds,
        round_seconds=0.002,
        max_warmup_seconds=seconds / 10,
    )
    turns = take_turns(workloads, WallClock(do_not_wait), plan, enough=lambda _, __: True)
    advice = {step.name: step.advice for step in steps}
    timed = [Timed(w.name, turns.seconds_per_item[w.name], advice.get(w.name, "")) for w in workloads]
    shape = tuple(int(side) for side in np.shape(sample.picture))
    return Profile(tuple(timed[:-1]), timed[-1], shape, len(sample.keypoints))


def _call(step: Step, given: Sample) -> Callable[[], object]:
    return lambda: step.apply(given)


def _whole(steps: Sequence[Step], sample: Sample) -> Sample:
    for step in steps:
        sample = step.apply(sample)
    return sample


def made_sample(height: int, width: int, keypoints: int) -> Sample:
    """Smooth noise, the same every time."""
    random = np.random.default_rng(42)
    coarse = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    picture = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])
    return Sample(picture, random.uniform((0, 0), (width, height), (keypoints, 2)))


def pipeline(name: str, size: int = 640) -> list[Step]:
    """A pipeline by its name: `letterbox` (ours), `albumentations` (the same by albumentations), `parts`
    (cheap ones and expensive ones), a mode, or `module:name` of a list of steps or an albumentations Compose.
    """
    from perfsuite.advise import pipelines

    return pipelines.named(name, size)


def of_object(written: str) -> list[Step]:
    """The steps of `module:name`."""
    from perfsuite.advise.pipelines import steps_of_albumentations

    module, _, name = written.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"profile: {written} cannot be loaded ({error}), expected module:name") from error
    if isinstance(found, list | tuple) and all(isinstance(step, Step) for step in found):
        return list(found)
    if hasattr(found, "transforms"):
        return steps_of_albumentations(found)
    raise UsageError(
        f"profile: {written} is {type(found).__name__}, expected a list of Step or an albumentations Compose"
    )
