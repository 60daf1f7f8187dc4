"""What a gate says about the GPU: throttled and unobserved turns, clocks, power, other processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.gpu_notes import describe_other_processes, gpu_notes, uses_device
from perfsuite.gate.pair_result import NodeId, Turn, WorkloadName, WorkloadTurns
from perfsuite.gate.process_pair import ProcessPair
from perfsuite.gate.side_process import SideProcess
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.measure.measurement import GpuReadings
from tests.gate.test_process_pair import FAKE_SIDE, SCHEDULE, side_processes
from tests.measure.fake_nvml import FakeCard, FakeNvml

NAME = WorkloadName("test_step")


def readings(clock: float, watts: float, *throttled: str) -> GpuReadings:
    medians = {"sm_clock_mhz": clock, "power_watts": watts}
    return GpuReadings(medians=medians, energy_joules=20.0, throttled=throttled)


def workload(
    base: Sequence[GpuReadings | None], head: Sequence[GpuReadings | None], first_side: str = "base"
) -> WorkloadState:
    """A workload on a device, after one pair."""
    state = WorkloadState(NAME, NodeId("test_step"), counters={"kernel_launches": (2, 2)})
    sides = [tuple(Turn(0.01, 0.01, gpu=gpu) for gpu in side) for side in (base, head)]
    first, second = sides if first_side == "base" else sides[::-1]
    turns = WorkloadTurns(name=NAME, node=state.node, first_turns=first, second_turns=second)
    state.add_pair(turns, first_side)
    return state


QUIET = [readings(1980.0, 650.0)] * 4
SLOW = [readings(1755.0, 690.0)] * 4


@pytest.mark.parametrize("first_side", ["base", "head"])
def test_clock_and_power_of_both_sides_are_stated(first_side: str) -> None:
    assert gpu_notes([workload(QUIET, SLOW, first_side)]) == [
        "test_step: the GPU ran at 1,980 and 1,755 MHz, 650 and 690 W (base and head)"
    ]


def test_throttled_turns_are_counted() -> None:
    hot = [readings(1200.0, 700.0, "power cap"), *QUIET[1:]]
    assert gpu_notes([workload(QUIET, hot), workload(hot, hot)])[-1] == (
        "3 turns ran on a throttled GPU, even when repeated"
    )


def test_turns_that_nvml_did_not_observe_are_not_taken_for_unthrottled() -> None:
    [note] = gpu_notes([workload([None] * 4, [None] * 4)])
    assert note.startswith("8 turns on the GPU were not observed")


def test_a_device_that_is_lost_in_some_turns_is_noted_beside_the_others() -> None:
    notes = gpu_notes([workload(QUIET, [*QUIET[:3], None])])
    assert len(notes) == 2
    assert notes[1].startswith("1 turns on the GPU were not observed")


def test_a_workload_on_the_cpu_has_no_note() -> None:
    """Negative control: its turns are not observed either."""
    state = workload([None] * 4, [None] * 4)
    state.counters = {"casts": (1, 1)}
    assert not uses_device(state)
    assert gpu_notes([state]) == []


def test_other_processes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = FakeNvml([FakeCard("GPU-1", processes=(70,)), FakeCard("GPU-2", processes=(71,))])
    assert describe_other_processes(nvml) == ["other processes use the GPU: 70, 71; stop them while timing"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert describe_other_processes(nvml) == ["other processes use the GPU: 71; stop them while timing"]


def test_an_idle_gpu_has_no_note_and_a_lost_one_has() -> None:
    assert describe_other_processes(FakeNvml()) == []
    assert describe_other_processes(None) == []
    [note] = describe_other_processes(FakeNvml(answers=0))
    assert "GPU is lost" in note


def turns_on_device(folder: Path, nvml: FakeNvml, on_device: bool = True) -> list[Turn]:
    """The turns of a pair of processes that say whether they use a device."""
    side = FAKE_SIDE.replace('"on_device": False', f'"on_device": {on_device}')
    with side_processes(folder, side) as (base, head):
        turns = ProcessPair(base, head, SCHEDULE, gpu=nvml).take_turns(NAME, NodeId("test_step"), 1.0)
    return [*turns.first_turns, *turns.second_turns]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that the sides were sent."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    sent: list[str] = []
    send = SideProcess.send

    def record(self: SideProcess, **message: Any) -> None:
        sent.append(str(message["command"]))
        send(self, **message)

    monkeypatch.setattr(SideProcess, "send", record)
    return sent


def test_every_turn_on_a_device_has_clock_and_power(tmp_path: Path, commands: list[str]) -> None:
    turns = turns_on_device(tmp_path, FakeNvml([FakeCard("GPU-1")]))
    assert len(turns) == commands.count("turn") == 8
    for turn in turns:
        assert turn.gpu is not None
        assert (turn.gpu.medians["sm_clock_mhz"], turn.gpu.medians["power_watts"]) == (1980, 650)


def test_every_throttled_turn_is_repeated(tmp_path: Path, commands: list[str]) -> None:
    turns = turns_on_device(tmp_path, FakeNvml([FakeCard("GPU-1", throttle_bits=0x40)]))
    assert len(turns) == 8
    assert commands.count("turn") == 8 * (1 + SCHEDULE.max_retakes)


@pytest.mark.parametrize("on_device", [True, False])
def test_a_turn_without_a_readable_device_has_no_readings(
    tmp_path: Path, commands: list[str], on_device: bool
) -> None:
    """A device that is lost, and a workload on the CPU beside a throttled device."""
    nvml = FakeNvml([FakeCard("GPU-1", throttle_bits=0x40)], answers=0 if on_device else None)
    turns = turns_on_device(tmp_path, nvml, on_device)
    assert [turn.gpu for turn in turns] == [None] * 8
    assert commands.count("turn") == 8
