"""What one pair of processes produced: turns, counters, and how each test ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NewType

from perfsuite.measure.measurement import GpuReadings

NodeId = NewType("NodeId", str)  # a test, as pytest names it
# A workload. The name is the test's node id, except that `perf.pair` runs two workloads in one test.
WorkloadName = NewType("WorkloadName", str)


class Purpose(Enum):
    """What a pair of processes does at each benchmark."""

    TIMING = auto()
    COUNTING = auto()
    RECORDING = auto()  # only calls it


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one side: seconds per call."""

    median: float
    low: float  # the 20 % quantile
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    gpu: GpuReadings | None = None
    waited_share: float = 0.0  # of the turn, that a thread waited for a core, where this was not subtracted


@dataclass(frozen=True, slots=True)
class WorkloadTurns:
    """One workload in one pair: the turns of both sides in the order of time."""

    name: WorkloadName
    node: NodeId
    first_turns: tuple[Turn, ...]  # of the side that has the pair's first turn
    second_turns: tuple[Turn, ...]
    items: float = 1.0
    gate_seconds: float = 0.0  # what the workload took of the gate's time


@dataclass(frozen=True, slots=True)
class CollectError:
    """Why a side could not collect a file or class; `node` is empty where it could collect nothing at all."""

    node: str
    detail: str  # pytest's report, or what ended the process

    @property
    def file(self) -> str:
        return self.node.partition("::")[0]


@dataclass(frozen=True, slots=True)
class NodeOutcome:
    """How a test ended on one side."""

    outcome: str  # passed, failed, skipped, xfailed, died, hung, stopped, invalid message
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        return self.outcome not in {"passed", "skipped", "xfailed"}


@dataclass(slots=True)
class PairResult:
    """Everything that one pair produced, also where it ended early."""

    workload_turns: list[WorkloadTurns] = field(default_factory=list)
    # By workload and side: the counters of repeated calls.
    counts: dict[WorkloadName, dict[str, list[dict[str, int]]]] = field(default_factory=dict)
    nodes: dict[WorkloadName, NodeId] = field(default_factory=dict)  # workloads that both sides reached
    outcomes: dict[NodeId, dict[str, NodeOutcome]] = field(default_factory=dict)  # by side
    # Workloads that one side alone reached: the test and that side.
    one_sided: dict[WorkloadName, tuple[NodeId, str]] = field(default_factory=dict)
    collect_errors: dict[str, tuple[CollectError, ...]] = field(default_factory=dict)  # by side
    missing_counters: str = ""  # why something could not be counted
    abort_reason: str = ""  # why the pair ended early
    is_out_of_time: bool = False  # it ended early because the gate's time was spent
    first_side: str = ""  # the side that had the first turn
