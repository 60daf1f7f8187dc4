"""Time each transform of a pipeline and the whole, in turns.

>>> def double(sample: PipelineSample) -> PipelineSample:
...     return PipelineSample(sample.image * 2, sample.keypoints)
>>> small = PipelineSample(np.ones((4, 4, 3), dtype=np.uint8), np.empty((0, 2)))
>>> profile = profile_pipeline([PipelineStep("double", double)], small, seconds=0.01)
>>> profile.slowest.name
'double'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfsuite.errors import UsageError
from perfsuite.judge.amdahl import max_speedup_without
from perfsuite.measure.clock import WallClock, no_wait
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.stage_clock import StageClock, StageSpan
from perfsuite.measure.turns import take_turns
from perfsuite.measure.workload import Workload
from perfsuite.stages import listen_to_stages, stage

TRACED_PASSES = 20


@dataclass(frozen=True, slots=True)
class PipelineSample:
    """An image, in whatever form the steps return it, and its keypoints."""

    image: Any
    keypoints: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A named transform, and what to try if it is the slowest."""

    name: str
    apply: Callable[[PipelineSample], PipelineSample]
    advice: str = ""
    # Converts what the step gets into the form that it expects, before the clock starts.
    prepare: Callable[[PipelineSample], PipelineSample] | None = None
    moves_keypoints: bool = True

    def prepared(self, sample: PipelineSample) -> PipelineSample:
        return sample if self.prepare is None else self.prepare(sample)


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds per image of a step, one sample per block of turns."""

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
    """The steps of a pipeline, and the whole, timed in the same turns.

    >>> steps = StepTimes("a", (0.003,)), StepTimes("b", (0.001,))
    >>> profile = PipelineProfile(steps, whole=StepTimes("whole", (0.005,)))
    >>> profile.slowest.name, profile.share(profile.slowest), profile.max_speedup(profile.slowest)
    ('a', 0.75, 2.5)
    """

    steps: tuple[StepTimes, ...]
    whole: StepTimes
    shape: tuple[int, ...] = ()
    keypoints: int = 0

    @property
    def sum_of_step_means(self) -> float:
        return sum(step.mean for step in self.steps)

    @property
    def slowest(self) -> StepTimes:
        return max(self.steps, key=lambda step: step.mean)

    def share(self, step: StepTimes) -> float:
        """The step's share of the sum of all steps, so that shares add up to one."""
        return step.mean / self.sum_of_step_means

    def max_speedup(self, step: StepTimes) -> float:
        """How many times as fast the pipeline becomes at most if the step takes no time (Amdahl's bound).

        On a noisy machine a step can take longer than the whole; the sum of the steps then bounds it.
        """
        return max_speedup_without(step.mean, max(self.whole.mean, self.sum_of_step_means))


def profile_pipeline(
    steps: Sequence[PipelineStep], sample: PipelineSample, seconds: float = 2.0
) -> PipelineProfile:
    """Time every step, on the output of the steps before it, and the whole, in turns."""
    if not steps:
        raise UsageError("profile: the pipeline has no steps, expected at least one")
    shape = tuple(int(side) for side in np.shape(sample.image))
    sample = steps[0].prepared(sample)
    workloads, step_input = [], sample
    for step in steps:
        step_input = step.prepared(step_input)
        workloads.append(Workload(step.name, _step_call(step, step_input)))
        step_input = step.apply(step_input)
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
    times = [StepTimes(w.name, turns.seconds_per_item[w.name], advice.get(w.name, "")) for w in workloads]
    return PipelineProfile(
        steps=tuple(times[:-1]), whole=times[-1], shape=shape, keypoints=len(sample.keypoints)
    )


def _step_call(step: PipelineStep, sample: PipelineSample) -> Callable[[], object]:
    return lambda: step.apply(sample)


def _apply_all(steps: Sequence[PipelineStep], sample: PipelineSample) -> PipelineSample:
    for step in steps:
        sample = step.apply(step.prepared(sample))
    return sample


def trace_pipeline(
    steps: Sequence[PipelineStep], sample: PipelineSample, passes: int = TRACED_PASSES
) -> tuple[StageSpan, ...]:
    """Apply the whole pipeline a few times, and keep when each step began and ended."""
    clock = StageClock(max_spans=passes * (len(steps) + 1))
    with listen_to_stages(clock):
        for _ in range(passes):
            current = steps[0].prepared(sample)
            with stage("whole"):
                for step in steps:
                    current = step.prepared(current)
                    with stage(step.name):
                        current = step.apply(current)
    return tuple(clock.spans)


def synthetic_sample(height: int, width: int, keypoints: int) -> PipelineSample:
    """Noise in blocks of 8 x 8 pixels, the same at every call, and random keypoints."""
    rng = np.random.default_rng(42)
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    image = np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])
    return PipelineSample(image, rng.uniform((0, 0), (width, height), (keypoints, 2)))
