"""How much of its speed a rank keeps when all train together: all of them and the first alone, in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.advise.preset_search import LEVEL, step_call
from perfsuite.errors import UsageError
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.verdict import Interval
from perfsuite.measure.clock import make_clock
from perfsuite.measure.turns import run_blocks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.distributed.ranks import Rank

TURN_SECONDS = 0.1
MIN_BLOCKS = 9  # whose median has an interval at 99 %


@dataclass(frozen=True, slots=True)
class ScalingResult:
    """What several ranks gain, and what a step exchanges."""

    ranks: int
    images_per_second: float  # of all ranks together
    single_rank_images_per_second: float
    efficiency: Interval  # the share of its speed alone that each keeps
    blocks: int
    all_reduces: int
    all_reduced_bytes: int


def measure_scaling(
    rank: Rank, model: nn.Module, images: Tensor, labels: Tensor, seconds: float
) -> ScalingResult | None:
    """On every rank at once; the first one has the answer. The batch is each rank's own (weak scaling)."""
    from perfsuite.training.distributed.ranks import AllReduceCounter
    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.presets import EAGER
    from perfsuite.training.step.step import TrainingStep

    if rank.wrap_ddp is None:
        raise UsageError(
            "scaling: there is one process, expected several; start perfsuite scaling --ranks 2, or "
            "torchrun --nproc-per-node 2 -m perfsuite scaling"
        )
    alone = step_call(model, EAGER, images, labels)
    wrapped = rank.wrap_ddp(model.train())
    exchanged = AllReduceCounter.attach(wrapped)  # type: ignore[arg-type]
    together = TrainingStep(wrapped, make_optimizer(wrapped, learning_rate=1e-3))
    turns = _RankTurns(rank, alone, lambda: together(images, labels))
    turns.warm_up()
    before = exchanged.all_reduces, exchanged.all_reduced_bytes
    together(images, labels)
    sent = exchanged.all_reduces - before[0], exchanged.all_reduced_bytes - before[1]
    blocks = turns.take(seconds)
    if not rank.is_first:
        return None
    ratios = [one / all_ for one, all_ in blocks]
    return ScalingResult(
        ranks=rank.world_size,
        images_per_second=rank.world_size * len(labels) / median(all_ for _, all_ in blocks),
        single_rank_images_per_second=len(labels) / median(one for one, _ in blocks),
        efficiency=median_interval(ratios, LEVEL),
        blocks=len(blocks),
        all_reduces=sent[0],
        all_reduced_bytes=sent[1],
    )


class _RankTurns:
    """Blocks of turns, where A is the first rank alone while the others wait, and B is all of them."""

    def __init__(self, rank: Rank, alone: Callable[[], object], together: Callable[[], object]) -> None:
        self._rank, self._alone, self._together = rank, alone, together
        self._clock = make_clock(str(rank.device))

    def warm_up(self) -> None:
        for _ in range(3):
            self._alone()
            self._together()

    def take(self, seconds: float) -> list[tuple[float, float]]:
        """Seconds of a step alone and together, block by block."""
        calls = self._broadcast(max(1, round(TURN_SECONDS / self._clock.time_calls(self._alone, 1))))
        start = perf_counter()

        def should_stop(blocks: int) -> bool:
            return not self._broadcast(blocks < MIN_BLOCKS or perf_counter() - start < seconds)

        def turn(letter: str) -> float:
            return self._turn(letter, calls)

        # Every rank draws the same order from the same seed.
        blocks = run_blocks("AB", turn, should_stop=should_stop, rng=Random(0))
        return [(alone, together) for alone, together in blocks]

    def _turn(self, letter: str, calls: int) -> float:
        self._broadcast(0)  # nobody is still at work
        if letter == "B":
            return self._clock.time_calls(self._together, calls) / calls
        return self._clock.time_calls(self._alone, calls) / calls if self._rank.is_first else 1.0

    def _broadcast(self, number: int) -> int:
        """What the first rank says."""
        import torch
        import torch.distributed as dist

        said = torch.tensor([number], device=self._rank.device)
        dist.broadcast(said, src=0)
        return int(said.item())
