"""Measure how much of its speed a rank keeps when all train: all of them and the first alone, in turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from perfsuite.advise.confidence import LEVEL, MIN_BLOCKS
from perfsuite.advise.timed_step import step_call
from perfsuite.errors import UsageError
from perfsuite.judge.order_statistics import median_interval
from perfsuite.judge.verdict import Interval
from perfsuite.measure.clock import make_clock
from perfsuite.measure.turns import run_blocks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from perfsuite.training.distributed.ranks import Rank

TURN_SECONDS = 0.1
WARMUP_CALLS = 3


@dataclass(frozen=True, slots=True)
class ScalingResult:
    """What several ranks gain, and what a step exchanges."""

    ranks: int
    images_per_second: float  # of all ranks together
    single_rank_images_per_second: float
    efficiency: Interval  # share of its speed alone that each rank keeps
    blocks: int
    all_reduces: int
    all_reduced_bytes: int


def measure_scaling(
    rank: Rank, model: nn.Module, images: Tensor, labels: Tensor, seconds: float
) -> ScalingResult | None:
    """Call on every rank at once; the first returns the result. Each rank has its own batch."""
    from perfsuite.training.distributed.ddp import AllReduceCounter
    from perfsuite.training.step.optimizers import make_optimizer
    from perfsuite.training.step.presets import EAGER
    from perfsuite.training.step.step import TrainingStep

    if rank.world_size == 1:
        raise UsageError(
            "scaling: there is one process, expected several; start perfsuite scaling --nproc-per-node 2, or "
            "torchrun --nproc-per-node 2 -m perfsuite scaling"
        )
    alone = step_call(model, EAGER, images, labels)
    wrapped = rank.wrap_ddp(model.train())
    counter = AllReduceCounter.attach(wrapped)  # type: ignore[arg-type]
    together = TrainingStep(wrapped, make_optimizer(wrapped, learning_rate=1e-3))
    turns = _RankTurns(rank, alone, lambda: together(images, labels))
    turns.warm_up()
    all_reduces, all_reduced_bytes = counter.all_reduces, counter.all_reduced_bytes
    together(images, labels)
    all_reduces = counter.all_reduces - all_reduces
    all_reduced_bytes = counter.all_reduced_bytes - all_reduced_bytes
    blocks = turns.take(seconds)
    if not rank.is_first:
        return None
    return ScalingResult(
        ranks=rank.world_size,
        images_per_second=rank.world_size * len(labels) / median(step for _, step in blocks),
        single_rank_images_per_second=len(labels) / median(step for step, _ in blocks),
        efficiency=median_interval([single / all_ for single, all_ in blocks], LEVEL),
        blocks=len(blocks),
        all_reduces=all_reduces,
        all_reduced_bytes=all_reduced_bytes,
    )


class _RankTurns:
    """Blocks of turns. In A the first rank works while the others wait; in B all of them work."""

    def __init__(self, rank: Rank, alone: Callable[[], object], together: Callable[[], object]) -> None:
        self._rank, self._alone, self._together = rank, alone, together
        self._clock = make_clock(str(rank.device))

    def warm_up(self) -> None:
        for _ in range(WARMUP_CALLS):
            self._alone()
            self._together()

    def take(self, seconds: float) -> list[tuple[float, float]]:
        """Seconds of a step alone and together, block by block."""
        calls = self._broadcast(max(1, round(TURN_SECONDS / self._clock.time_calls(self._alone, 1))))
        begin = perf_counter()

        def should_stop(blocks: int) -> bool:
            return not self._broadcast(blocks < MIN_BLOCKS or perf_counter() - begin < seconds)

        def turn(letter: str) -> float:
            return self._turn(letter, calls)

        # Every rank draws the same order from the same seed.
        blocks = run_blocks("AB", turn, should_stop=should_stop, rng=Random(0))
        return [(alone, together) for alone, together in blocks]

    def _turn(self, letter: str, calls: int) -> float:
        self._broadcast(0)  # wait until every rank has finished the turn before
        if letter == "B":
            return self._clock.time_calls(self._together, calls) / calls
        return self._clock.time_calls(self._alone, calls) / calls if self._rank.is_first else 1.0

    def _broadcast(self, number: int) -> int:
        """The number of the first rank, on every rank."""
        import torch
        import torch.distributed as dist

        shared = torch.tensor([number], device=self._rank.device)
        dist.broadcast(shared, src=0)
        return int(shared.item())
