"""Choose the fastest preset on this machine, measured in turns; eager where none is faster for certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfsuite.advise.timed_step import speedup_interval, step_call, time_in_turns, verified_step_call
from perfsuite.errors import PerfsuiteError
from perfsuite.judge.verdict import Interval

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.step.presets import Preset

FALSE_CHOICE_RATE = 0.01  # chance that the choice is no faster than eager, over all candidates together
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
    rejected: Mapping[str, str]  # reasons of candidates that computed something else, or did not run


def find_fastest_preset(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    candidates: Sequence[str],
    seconds: float = 20.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> PresetChoice:
    """Time `candidates` against eager on copies of `model`; those whose results differ are not timed."""
    from perfsuite.training.step.presets import EAGER, parse_preset

    steps = {"eager": step_call(model, EAGER, images, labels)}
    rejected: dict[str, str] = {}
    for name in candidates:
        on_progress(f"{name}: comparing its results with eager's")
        try:
            steps[name] = verified_step_call(model, parse_preset(name), images, labels)
        except PerfsuiteError as error:
            rejected[name] = str(error)
    on_progress(f"timing {len(steps)} presets in turns for {seconds:.0f} s")
    turns = time_in_turns(steps, len(labels), seconds, device=str(images.device))
    # Bonferroni over the candidates; only the lower end of an interval can lead to a false choice.
    level = 1 - 2 * FALSE_CHOICE_RATE / max(2, len(steps) - 1)
    speedups = {name: speedup_interval(turns, name, "eager", level) for name in steps if name != "eager"}
    return PresetChoice(parse_preset(pick_fastest(speedups)), speedups, rejected)


def pick_fastest(speedups: Mapping[str, Interval]) -> str:
    """The name with the highest lower end of those whose whole interval is above 1; eager if there is none.

    >>> pick_fastest({"a": Interval(0.9, 3.0, 0.99), "b": Interval(1.1, 1.2, 0.99)})
    'b'
    >>> pick_fastest({"a": Interval(0.9, 3.0, 0.99)})
    'eager'
    """
    faster = {name: speedup.low for name, speedup in speedups.items() if speedup.low > 1}
    return max(faster, key=lambda name: faster[name]) if faster else "eager"
