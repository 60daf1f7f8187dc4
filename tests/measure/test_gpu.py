from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from perfsuite.measure import gpu
from perfsuite.measure.gpu import GpuMetric, GpuMonitor, first_visible_device, load_nvml, throttle_reasons


def fake_nvml(throttle: int = 0) -> SimpleNamespace:
    joules = iter(range(1_000, 10_000_000, 500))
    return SimpleNamespace(
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlClocksThrottleReasonSwPowerCap=4,
        nvmlClocksThrottleReasonHwSlowdown=8,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: f"gpu {index}",
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetUtilizationRates=lambda device: SimpleNamespace(gpu=97),
        nvmlDeviceGetClockInfo=lambda device, which: 1_980 if which == 1 else 3_201,
        nvmlDeviceGetPowerUsage=lambda device: 650_000,
        nvmlDeviceGetTemperature=lambda device, which: 61,
        nvmlDeviceGetTotalEnergyConsumption=lambda device: next(joules),
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda device: throttle,
    )


def test_readings_are_medians_with_units() -> None:
    watch = GpuMonitor(fake_nvml(throttle=4))
    watch.begin()
    time.sleep(0.12)
    watch.end()
    assert watch.readings is not None
    assert watch.readings.utilization_percent == 97
    assert watch.readings.medians["power_watts"] == 650
    assert set(watch.readings.medians) == {metric.name for metric in gpu.GPU_METRICS}
    assert watch.readings.energy_joules > 0
    assert watch.readings.throttled == ("power cap",)


def test_without_a_gpu_nothing_is_read() -> None:
    watch = GpuMonitor(None)
    watch.begin()
    watch.end()
    assert watch.readings is None


def test_throttle_reasons_are_words() -> None:
    assert throttle_reasons(fake_nvml(4 | 8), "gpu 0") == ["power cap", "hardware slowdown"]
    assert throttle_reasons(fake_nvml(), "gpu 0") == []


@pytest.mark.parametrize(
    ("visible", "device"),
    [(None, "gpu 0"), ("1,0", "gpu 1"), ("GPU-123", "GPU-123"), ("", None), ("-1", None)],
)
def test_the_first_visible_device_is_monitored(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert first_visible_device(fake_nvml()) == device


def test_a_missing_package_or_driver_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("driver not loaded")

    broken = fake_nvml()
    broken.nvmlInit = fails
    monkeypatch.setitem(sys.modules, "pynvml", broken)
    assert load_nvml() is None
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    assert gpu.load_nvml() is not None


def test_a_new_gpu_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = GpuMetric("planted_percent", lambda nvml, device: 35.0, more_is_better=False)
    monkeypatch.setattr(gpu, "GPU_METRICS", (*gpu.GPU_METRICS, planted))
    monitor = GpuMonitor(fake_nvml())
    monitor.begin()
    monitor.end()
    assert monitor.readings is not None
    assert monitor.readings.medians["planted_percent"] == 35.0
