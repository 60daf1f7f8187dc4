"""Which preset is fastest here: measured in turns, and eager wherever none is surely faster."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.verdict import Interval
from perfsuite.measure.clock import make_clock
from perfsuite.measure.sampling import SamplingPlan
from perfsuite.measure.turns import TurnSamples, take_turns
from perfsuite.measure.workload import Workload

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.step.presets import Preset

LEVEL = 0.99
MIN_BLOCKS = 12  # whose median has an interval at 99.75 %, which is asked for of eight candidates
FALSE_CHOICE_RATE = 0.01  # that the chosen one is no faster than eager, over all candidates together
CPU_CANDIDATES = ("channels_last", "fused", "channels_last+fused", "bf16", "bf16+channels_last")
CPU_COMPILED_CANDIDATES = (*CPU_CANDIDATES, "compiled", "compiled+channels_last", "combined")
CUDA_CANDIDATES = (
    "fused",
    "channels_last+fused",
    "bf16",
    "bf16+channels_last",
    "bf16+channels_last+fused",
    "combined",
)


@dataclass(frozen=True, slots=True)
class PresetChoice:
    """The preset to train with, and each candidate's speed-up over eager."""

    preset: Preset
    speedups: Mapping[str, Interval]
    refused: Mapping[str, str]  # candidates that computed something else, or did not run


def find_fastest_preset(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    candidates: Sequence[str],
    seconds: float = 20.0,
    tell: Callable[[str], None] = lambda _: None,
) -> PresetChoice:
    """Time `candidates` against eager on copies of `model`; those that fail parity are not timed."""
    from perfsuite.training.step.presets import EAGER, parse_preset

    steps = {"eager": step_call(model, EAGER, images, labels)}
    refused: dict[str, str] = {}
    for name in candidates:
        tell(f"{name}: comparing its answer with eager's")
        call = verified_step_call(model, parse_preset(name), images, labels, refused)
        if call is not None:
            steps[name] = call
    tell(f"timing {len(steps)} presets in turns for {seconds:.0f} s")
    turns = time_in_turns(steps, items=len(labels), seconds=seconds, device=str(images.device))
    level = 1 - 2 * FALSE_CHOICE_RATE / max(2, len(steps) - 1)  # each may err at one end, and only there
    speedups = {name: speedup_interval(turns, name, "eager", level) for name in steps if name != "eager"}
    return PresetChoice(parse_preset(pick_fastest(speedups)), speedups, refused)


def pick_fastest(speedups: Mapping[str, Interval]) -> str:
    """The name whose whole interval lies above 1 and the farthest; eager where there is none.

    >>> pick_fastest({"a": Interval(0.9, 3.0, 0.99), "b": Interval(1.1, 1.2, 0.99)})
    'b'
    >>> pick_fastest({"a": Interval(0.9, 3.0, 0.99)})
    'eager'
    """
    above = {name: found.low for name, found in speedups.items() if found.low > 1}
    return max(above, key=lambda name: above[name]) if above else "eager"


def verified_step_call(
    model: nn.Module, chosen: Preset, images: Tensor, labels: Tensor, refused: dict[str, str]
) -> Callable[[], object] | None:
    """A call of one step whose loss and gradients have been compared; None, and the reason noted, if not."""
    from perfsuite.errors import PerfsuiteError
    from perfsuite.training.step.compile import CompileFallbackWarning
    from perfsuite.training.step.parity import step_parity

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", CompileFallbackWarning)
            step_parity(model, chosen, images, labels).require(chosen)
            call = step_call(model, chosen, images, labels)
            call()
    except (PerfsuiteError, CompileFallbackWarning) as error:
        refused[chosen.name] = str(error)
        return None
    return call


def step_call(
    model: nn.Module, chosen: Preset, images: Tensor, labels: Tensor, parts: int = 1
) -> Callable[[], object]:
    """A call of one step on a copy of `model`; the batch in several parts is one step nevertheless."""
    import torch

    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.step import TrainingStep

    own = copy.deepcopy(model).train()
    optimizer = make_optimizer(own, learning_rate=1e-3, implementation=chosen.optimizer_implementation)
    step = TrainingStep(own, optimizer, chosen)
    if chosen.channels_last:  # as a loader of such batches would give them
        images = images.contiguous(memory_format=torch.channels_last)
    batches = list(zip(images.chunk(parts), labels.chunk(parts), strict=True))
    return lambda: step.accumulate(batches)


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    items: float | Mapping[str, float],
    seconds: float,
    device: str | None = None,
) -> TurnSamples:
    """All calls in turns, A B C C B A, for about `seconds`; `items` of a call, of all or of each."""
    arms = []
    for name, call in calls.items():
        call()  # compiled anew where another arm's making has forgotten it
        arms.append(Workload(name, call, items if isinstance(items, int | float) else items[name], "images"))
    plan = SamplingPlan(
        min_rounds=MIN_BLOCKS, max_seconds=seconds, max_warmup_seconds=min(2.0, seconds / len(arms) / 4)
    )
    return take_turns(arms, make_clock(device), plan, enough=lambda seconds, look: False)


def speedup_interval(turns: TurnSamples, arm: str, reference: str, level: float = LEVEL) -> Interval:
    return median_interval(turns.ratios(reference, arm), level)
