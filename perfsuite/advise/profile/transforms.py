"""How long each transform of a pipeline takes, beside the whole: the steps and the whole are timed in turns.

>>> def double(sample: PipelineSample) -> PipelineSample:
...     return PipelineSample(sample.image * 2, sample.keypoints)
>>> small = PipelineSample(np.ones((4, 4, 3), dtype=np.uint8), np.empty((0, 2)))
>>> found = profile_pipeline([PipelineStep("double", double)], small, seconds=0.01)
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
from perfsuite.measure.clock import WallClock, no_wait
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.turns import take_turns
from perfsuite.measure.workload import Workload


@dataclass(frozen=True, slots=True)
class PipelineSample:
    """What goes through a pipeline: an image (in whatever form the steps leave it) and its keypoints."""

    image: Any
    keypoints: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A named transform and what to try where it is the slowest."""

    name: str
    apply: Callable[[PipelineSample], PipelineSample]
    advice: str = ""


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds per image, one for each block of turns."""

    name: str
    seconds: tuple[float, ...]
    advice: str = ""

    @property
    def mean(self) -> float:
        return fmean(self.seconds)

    @property
    def std(self) -> float:
        return pstdev(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def maximum(self) -> float:
        return max(self.seconds)


@dataclass(frozen=True, slots=True)
class PipelineProfile:
    """The steps, and the whole pipeline timed in the same turns.

    >>> steps = StepTimes("a", (0.003,)), StepTimes("b", (0.001,))
    >>> two = PipelineProfile(steps, whole=StepTimes("whole", (0.005,)))
    >>> two.slowest.name, two.share(two.slowest), two.max_speedup(two.slowest)
    ('a', 0.75, 2.5)
    """

    steps: tuple[StepTimes, ...]
    whole: StepTimes
    shape: tuple[int, ...] = ()
    keypoints: int = 0

    @property
    def sum_of_step_means(self) -> float:
        return sum(part.mean for part in self.steps)

    @property
    def slowest(self) -> StepTimes:
        return max(self.steps, key=lambda part: part.mean)

    def share(self, part: StepTimes) -> float:
        """Of the sum of the parts, so that the shares are one together."""
        return part.mean / self.sum_of_step_means

    def max_speedup(self, part: StepTimes) -> float:
        """How many times faster the pipeline could at most become if the part took no time.

        No more than its share of the parts allows: on an uneasy machine one may take longer than the whole.
        """
        whole = max(self.whole.mean, self.sum_of_step_means)
        rest = whole - part.mean
        return whole / rest if rest > 0 else float("inf")


def profile_pipeline(
    steps: Sequence[PipelineStep], sample: PipelineSample, seconds: float = 2.0
) -> PipelineProfile:
    """Time every step on what the steps before it made of the sample, and the whole, in turns."""
    if not steps:
        raise UsageError("profile: a pipeline of no steps, expected at least one")
    workloads, given = [], sample
    for step in steps:
        workloads.append(Workload(step.name, _step_call(step, given)))
        given = step.apply(given)
    workloads.append(Workload("whole", lambda: _apply_all(steps, sample)))
    plan = SamplingPlan(
        min_rounds=3,
        min_seconds=seconds,
        max_seconds=seconds,
        round_seconds=0.002,
        max_warmup_seconds=seconds / 10,
    )
    turns = take_turns(workloads, WallClock(no_wait), plan, enough=lambda _, __: True)
    advice = {step.name: step.advice for step in steps}
    timed = [StepTimes(w.name, turns.seconds_per_item[w.name], advice.get(w.name, "")) for w in workloads]
    shape = tuple(int(side) for side in np.shape(sample.image))
    return PipelineProfile(tuple(timed[:-1]), timed[-1], shape, len(sample.keypoints))


def _step_call(step: PipelineStep, given: PipelineSample) -> Callable[[], object]:
    return lambda: step.apply(given)


def _apply_all(steps: Sequence[PipelineStep], sample: PipelineSample) -> PipelineSample:
    for step in steps:
        sample = step.apply(sample)
    return sample


def synthetic_sample(height: int, width: int, keypoints: int) -> PipelineSample:
    """Smooth noise, the same every time."""
    random = np.random.default_rng(42)
    coarse = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    image = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])
    return PipelineSample(image, random.uniform((0, 0), (width, height), (keypoints, 2)))


def load_pipeline(name: str, size: int = 640) -> list[PipelineStep]:
    """A pipeline by its name: `letterbox` (ours), `albumentations` (the same by albumentations), `parts`
    (cheap ones and expensive ones), a mode, or `module:name` of a list of steps or an albumentations Compose.
    """
    from perfsuite.advise.profile import pipelines

    return pipelines.pipeline_steps(name, size)


def load_object_steps(written: str) -> list[PipelineStep]:
    """The steps of `module:name`."""
    from perfsuite.advise.profile.pipelines import albumentations_steps

    module, _, name = written.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"profile: {written} cannot be loaded ({error}), expected module:name") from error
    if isinstance(found, list | tuple) and all(isinstance(step, PipelineStep) for step in found):
        return list(found)
    if hasattr(found, "transforms"):
        return albumentations_steps(found)
    raise UsageError(
        f"profile: {written} is {type(found).__name__}, expected a list of Step or an albumentations Compose"
    )
