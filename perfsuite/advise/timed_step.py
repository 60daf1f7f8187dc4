"""Training steps as calls that can be timed in turns; each step has a copy of the model to itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perfsuite.advise.confidence import LEVEL
from perfsuite.errors import PerfsuiteError
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.verdict import Interval
from perfsuite.measure.clock import make_clock
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.turns import TurnSamples, take_turns
from perfsuite.measure.workload import Workload

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from perfsuite.training.step.presets import Preset

MIN_BLOCKS = 12  # their median has an interval at 99.75 %, the level that eight candidates need


def random_batch(
    batch_size: int, image_size: int, device: torch.device, seed: int | None = None
) -> tuple[Tensor, Tensor]:
    """Normally distributed images and labels of ten classes; a seed sets PyTorch's global one."""
    import torch

    if seed is not None:
        torch.manual_seed(seed)
    images = torch.randn(batch_size, 3, image_size, image_size, device=device)
    return images, torch.randint(10, (batch_size,), device=device)


def step_call(
    model: nn.Module, preset: Preset, images: Tensor, labels: Tensor, microbatches: int = 1
) -> Callable[[], object]:
    """A call of one training step on a copy of `model`.

    The batch may be split into microbatches, whose gradients accumulate for one optimizer step.
    """
    import torch

    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.step import TrainingStep

    model_copy = copy.deepcopy(model).train()
    optimizer = make_optimizer(model_copy, learning_rate=1e-3, implementation=preset.optimizer_implementation)
    step = TrainingStep(model_copy, optimizer, preset)
    if preset.channels_last:  # the layout that a loader for this preset hands out
        images = images.contiguous(memory_format=torch.channels_last)
    batches = list(zip(images.chunk(microbatches), labels.chunk(microbatches), strict=True))
    return lambda: step.accumulate(batches)


def verified_step_call(
    model: nn.Module, preset: Preset, images: Tensor, labels: Tensor
) -> Callable[[], object]:
    """A `step_call` whose loss and gradients agree with eager's; PerfsuiteError where they do not.

    A preset that cannot be compiled is an error too, because its fallback would be timed instead.
    """
    from perfsuite.training.step.parity import step_parity

    with refuse_compile_fallback():
        step_parity(model, preset, images, labels).require(preset)
        call = step_call(model, preset, images, labels)
        call()
    return call


@contextmanager
def refuse_compile_fallback() -> Iterator[None]:
    """Raise PerfsuiteError where what should be compiled in the block runs uncompiled instead."""
    from perfsuite.training.step.compile import CompileFallbackWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CompileFallbackWarning)
            yield
    except CompileFallbackWarning as error:
        raise PerfsuiteError(str(error)) from error


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    items_per_call: float | Mapping[str, float],
    seconds: float,
    device: str | None = None,
) -> TurnSamples:
    """Time all calls in turns (A B C C B A) for about `seconds`; `items_per_call` of all, or of each."""
    workloads = []
    for name, call in calls.items():
        call()  # preparing another call may have reset the compiler
        items = items_per_call if isinstance(items_per_call, int | float) else items_per_call[name]
        workloads.append(Workload(name, call, items, "images"))
    plan = SamplingPlan(
        min_rounds=MIN_BLOCKS,
        max_seconds=seconds,
        max_warmup_seconds=min(2.0, seconds / len(workloads) / 4),
    )
    return take_turns(workloads, make_clock(device), plan, enough=lambda seconds, look: False)


def speedup_interval(turns: TurnSamples, name: str, reference: str, level: float = LEVEL) -> Interval:
    """The interval of how many times as fast `name` is as `reference`."""
    return median_interval(turns.ratios(reference, name), level)
