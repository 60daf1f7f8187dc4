"""Which preset is fastest here: measured in turns, and eager wherever none is surely faster."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfsuite.judge.statistics import interval_of_median
from perfsuite.judge.verdict import Interval
from perfsuite.measure.clock import clock_for
from perfsuite.measure.sampling import Plan
from perfsuite.measure.turns import Turns, take_turns
from perfsuite.measure.workload import Workload

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.presets import Preset

LEVEL = 0.99
FEWEST_BLOCKS = 12  # whose median has an interval at 99.75 %, which is asked for of eight candidates
CHANCE_OF_SLOWER = 0.01  # that the chosen one is no faster than eager, over all candidates together
CPU_CANDIDATES = ("channels_last", "fused", "channels_last+fused", "bf16", "bf16+channels_last")
CPU_COMPILED = (*CPU_CANDIDATES, "compiled", "compiled+channels_last", "combined")
CUDA_CANDIDATES = (
    "fused",
    "channels_last+fused",
    "bf16",
    "bf16+channels_last",
    "bf16+channels_last+fused",
    "combined",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The preset to train with, and each candidate's speed-up over eager."""

    preset: Preset
    speedups: Mapping[str, Interval]
    refused: Mapping[str, str]  # candidates that computed something else, or did not run


def fastest_preset(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    candidates: Sequence[str],
    seconds: float = 20.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Time `candidates` against eager on copies of `model`; those that fail parity are not timed."""
    from perfsuite.training.presets import EAGER, preset

    steps = {"eager": step_call(model, EAGER, images, labels)}
    refused: dict[str, str] = {}
    for name in candidates:
        tell(f"{name}: comparing its answer with eager's")
        call = checked_step_call(model, preset(name), images, labels, refused)
        if call is not None:
            steps[name] = call
    tell(f"timing {len(steps)} presets in turns for {seconds:.0f} s")
    turns = in_turns(steps, items=len(labels), seconds=seconds, device=str(images.device))
    level = 1 - 2 * CHANCE_OF_SLOWER / max(2, len(steps) - 1)  # each may err at one end, and only there
    speedups = {name: speedup_of(turns, name, "eager", level) for name in steps if name != "eager"}
    return Choice(preset(surely_fastest(speedups)), speedups, refused)


def surely_fastest(speedups: Mapping[str, Interval]) -> str:
    """The name whose whole interval lies above 1 and the farthest; eager where there is none.

    >>> surely_fastest({"a": Interval(0.9, 3.0, 0.99), "b": Interval(1.1, 1.2, 0.99)})
    'b'
    >>> surely_fastest({"a": Interval(0.9, 3.0, 0.99)})
    'eager'
    """
    above = {name: found.low for name, found in speedups.items() if found.low > 1}
    return max(above, key=lambda name: above[name]) if above else "eager"


def checked_step_call(
    model: nn.Module, chosen: Preset, images: Tensor, labels: Tensor, refused: dict[str, str]
) -> Callable[[], object] | None:
    """A call of one step whose loss and gradients have been compared; None, and the reason noted, if not."""
    from perfsuite.errors import PerfsuiteError
    from perfsuite.training.compiled import FellBackWarning
    from perfsuite.training.parity import parity

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FellBackWarning)
            parity(model, chosen, images, labels).require(chosen)
            call = step_call(model, chosen, images, labels)
            call()
    except (PerfsuiteError, FellBackWarning) as error:
        refused[chosen.name] = str(error)
        return None
    return call


def step_call(
    model: nn.Module, chosen: Preset, images: Tensor, labels: Tensor, parts: int = 1
) -> Callable[[], object]:
    """A call of one step on a copy of `model`; the batch in several parts is one step nevertheless."""
    import torch

    from perfsuite.training.optimisers import make_optimiser
    from perfsuite.training.step import TrainingStep

    own = copy.deepcopy(model).train()
    optimiser = make_optimiser(own, learning_rate=1e-3, path=chosen.optimiser_path)
    step = TrainingStep(own, optimiser, chosen)
    if chosen.channels_last:  # as a loader of such batches would give them
        images = images.contiguous(memory_format=torch.channels_last)
    batches = list(zip(images.chunk(parts), labels.chunk(parts), strict=True))
    return lambda: step.accumulated(batches)


def in_turns(
    calls: Mapping[str, Callable[[], object]],
    items: float | Mapping[str, float],
    seconds: float,
    device: str | None = None,
) -> Turns:
    """All calls in turns, A B C C B A, for about `seconds`; `items` of a call, of all or of each."""
    arms = []
    for name, call in calls.items():
        call()  # compiled anew where another arm's making has forgotten it
        arms.append(Workload(name, call, items if isinstance(items, int | float) else items[name], "images"))
    plan = Plan(
        min_rounds=FEWEST_BLOCKS, max_seconds=seconds, max_warmup_seconds=min(2.0, seconds / len(arms) / 4)
    )
    return take_turns(arms, clock_for(device), plan, enough=lambda seconds, look: False)


def speedup_of(turns: Turns, arm: str, reference: str, level: float = LEVEL) -> Interval:
    return interval_of_median(turns.ratios(reference, arm), level)
