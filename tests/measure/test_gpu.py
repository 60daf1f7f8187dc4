"""Readings of the GPU, and what becomes of them where NVML cannot read it. No reading is made up."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from perfsuite.measure import gpu
from perfsuite.measure.gpu import (
    GpuMetric,
    GpuMonitor,
    load_nvml,
    monitor_gpu,
    nvml_problem,
    throttle_reasons,
)
from tests.measure.fake_nvml import FakeCard, FakeNvml

LISTED = [metric.name for metric in gpu.GPU_METRICS]


@pytest.fixture(autouse=True)
def _all_devices_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def monitored(nvml: FakeNvml | None, index: int | None = None, seconds: float = 0.0) -> GpuMonitor:
    monitor = GpuMonitor(nvml, index)
    monitor.begin()
    time.sleep(seconds)
    monitor.end()
    return monitor


def test_readings_are_medians_with_units() -> None:
    readings = monitored(FakeNvml([FakeCard("GPU-1", throttle_bits=4)]), seconds=0.1).readings
    assert readings is not None
    assert readings.utilization_percent == 97
    assert readings.medians["power_watts"] == 650
    assert list(readings.medians) == LISTED
    assert readings.energy_joules == 0.5
    assert readings.throttled == ("power cap",)
    assert readings.seconds >= 0.1


def test_a_reason_that_ends_before_the_block_does_is_kept() -> None:
    """A turn ends with an idle device, which is not throttled any more."""
    card = FakeCard("GPU-1", throttle_bits=0x20)
    monitor = GpuMonitor(FakeNvml([card]))
    monitor.begin()
    time.sleep(0.1)
    card.throttle_bits = 0
    monitor.end()
    assert monitor.readings is not None
    assert monitor.readings.throttled == ("thermal (software)",)


def test_without_a_gpu_nothing_is_read() -> None:
    assert monitored(None).readings is None


@pytest.mark.parametrize("visible", ["", "-1", "GPU-none"])
def test_where_all_devices_are_hidden_nothing_is_read(visible: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monitor = monitored(FakeNvml())
    assert (monitor.readings, monitor.problem) == (None, "")


def two_cards() -> FakeNvml:
    idle = FakeCard("GPU-1", utilization_percent=0, milliwatts=70_000, throttle_bits=0x40)
    return FakeNvml([idle, FakeCard("GPU-2", utilization_percent=88)])


def test_of_several_devices_the_busiest_is_read_and_none_is_overlooked() -> None:
    readings = monitored(two_cards()).readings
    assert readings is not None
    assert (readings.utilization_percent, readings.medians["power_watts"]) == (88, 650)
    assert readings.energy_joules == 1.0
    assert readings.throttled == ("thermal (hardware)",)


@pytest.mark.parametrize(("index", "percent", "throttled"), [(0, 0, True), (1, 88, False)])
def test_a_device_that_is_named_is_read_alone(index: int, percent: float, throttled: bool) -> None:
    readings = monitored(two_cards(), index).readings
    assert readings is not None
    assert (readings.utilization_percent, bool(readings.throttled)) == (percent, throttled)
    assert readings.energy_joules == 0.5


def test_an_index_beyond_the_visible_devices_is_not_read() -> None:
    assert monitored(two_cards(), index=2).readings is None


def test_a_mig_instance_has_no_power_energy_or_utilization_of_its_own() -> None:
    card = FakeCard("GPU-1", instances=[FakeCard("MIG-1")], throttle_bits=8)
    readings = monitored(FakeNvml([card])).readings
    assert readings is not None
    assert list(readings.medians) == ["sm_clock_mhz", "memory_clock_mhz", "temperature_celsius"]
    assert readings.energy_joules is readings.utilization_percent is None
    assert readings.throttled == ("hardware slowdown",)


def test_what_a_card_does_not_support_is_left_out() -> None:
    unsupported = frozenset({"nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"})
    readings = monitored(FakeNvml([FakeCard("GPU-1", unsupported=unsupported)])).readings
    assert readings is not None
    assert list(readings.medians) == [name for name in LISTED if name != "power_watts"]
    assert readings.energy_joules is None


def test_a_card_that_hides_its_throttling_is_not_taken_for_unthrottled() -> None:
    unsupported = frozenset({"nvmlDeviceGetCurrentClocksEventReasons"})
    monitor = monitored(FakeNvml([FakeCard("GPU-1", unsupported=unsupported)]))
    assert monitor.readings is None
    assert monitor.problem == "NVML: Not Supported"


@pytest.mark.parametrize("answers", range(13))
def test_a_device_that_is_lost_leaves_no_readings(answers: int) -> None:
    """At the first reading, within the block, or at the last one."""
    monitor = monitored(FakeNvml([FakeCard("GPU-1")], answers=answers), seconds=0.05)
    assert monitor.readings is None
    assert monitor.problem == "NVML: GPU is lost"


@pytest.mark.parametrize(("device", "joules"), [("cpu", None), ("cuda:1", 0.5), ("cuda", 1.0), (None, 1.0)])
def test_what_runs_on_the_cpu_has_no_readings_of_a_gpu(
    device: str | None, joules: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "load_nvml", two_cards)
    with monitor_gpu(device) as monitor:
        pass
    assert (None if monitor.readings is None else monitor.readings.energy_joules) == joules


def test_throttle_reasons_are_words() -> None:
    nvml = FakeNvml()
    assert throttle_reasons(nvml, FakeCard("GPU-1", throttle_bits=4 | 8)) == [
        "power cap",
        "hardware slowdown",
    ]
    idle_and_set_by_an_application = 1 | 2
    assert throttle_reasons(nvml, FakeCard("GPU-1", throttle_bits=idle_and_set_by_an_application)) == []


def test_a_driver_without_the_newer_function_is_read_by_the_older(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_function(self: FakeNvml, card: FakeCard) -> int:
        raise FakeNvml.NVMLError_FunctionNotFound

    nvml: Any = FakeNvml()
    nvml.nvmlDeviceGetCurrentClocksThrottleReasons = lambda card: card.throttle_bits
    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetCurrentClocksEventReasons", no_function)
    assert throttle_reasons(nvml, FakeCard("GPU-1", throttle_bits=0x80)) == ["power brake"]


def test_a_missing_package_or_driver_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(has_driver=False))
    assert load_nvml() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert load_nvml() is None
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([]))
    assert load_nvml() is None
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    assert load_nvml() is not None


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        (None, "the package nvidia-ml-py is not installed"),
        (FakeNvml(has_driver=False), "NVML: Driver Not Loaded"),
        (FakeNvml(), ""),
    ],
)
def test_a_driver_that_cannot_be_read_is_named(
    package: Any, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", package)
    monkeypatch.setattr(gpu, "_DRIVER", tmp_path / "nvidiactl")
    assert nvml_problem() == "", "no driver, no problem"
    (tmp_path / "nvidiactl").touch()
    assert nvml_problem() == problem


def test_a_new_gpu_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    fan = GpuMetric("fan_percent", lambda nvml, card: 35.0, more_is_better=False)
    monkeypatch.setattr(gpu, "GPU_METRICS", (*gpu.GPU_METRICS, fan))
    readings = monitored(FakeNvml()).readings
    assert readings is not None
    assert readings.medians["fan_percent"] == 35.0


def test_a_metric_that_the_installed_package_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = GpuMetric("newer", lambda nvml, card: nvml.nvmlDeviceGetNewer(card), more_is_better=False)
    monkeypatch.setattr(gpu, "GPU_METRICS", (newer, *gpu.GPU_METRICS))
    readings = monitored(FakeNvml()).readings
    assert readings is not None
    assert list(readings.medians) == LISTED
