"""Monitor the GPU through NVML: utilization, clocks, power, temperature, throttling."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from statistics import median
from types import ModuleType
from typing import Any

from perfsuite.measure.measurement import GpuReadings
from perfsuite.measure.polling import PollingThread

_SECONDS_BETWEEN_READINGS = 0.05
# Reasons that slow a GPU down. Idle clocks and clocks set by an application are not throttling.
_THROTTLE_REASONS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "thermal (software)",
    "HwThermalSlowdown": "thermal (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
    "SyncBoost": "sync boost",
}


@dataclass(frozen=True, slots=True)
class GpuMetric:
    """One number that NVML reports. Each is stored with a run and can have a limit, as `gpu_<name>`."""

    name: str  # with its unit
    read: Callable[[Any, Any], float]  # from the NVML module and a device handle
    more_is_better: bool


GPU_METRICS = (
    GpuMetric(
        "utilization_percent",
        lambda nvml, device: float(nvml.nvmlDeviceGetUtilizationRates(device).gpu),
        more_is_better=True,
    ),
    GpuMetric(
        "sm_clock_mhz",
        lambda nvml, device: float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM)),
        more_is_better=True,
    ),
    GpuMetric(
        "memory_clock_mhz",
        lambda nvml, device: float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM)),
        more_is_better=True,
    ),
    GpuMetric(
        "power_watts", lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1e3, more_is_better=False
    ),
    GpuMetric(
        "temperature_celsius",
        lambda nvml, device: float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
        more_is_better=False,
    ),
)


def load_nvml() -> ModuleType | None:
    """The initialized NVML module; None if the package, the driver or a device is missing."""
    try:
        module = import_module("pynvml")
        module.nvmlInit()
    except Exception:  # each version of the package defines its own NVMLError
        return None
    return module if module.nvmlDeviceGetCount() > 0 else None


def first_visible_device(nvml: Any) -> Any:
    """The handle of the first device in CUDA_VISIBLE_DEVICES; None if that hides all devices."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = "0" if visible is None else visible.split(",")[0].strip()
    if first in ("", "-1"):
        return None
    if first.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(first))
    return nvml.nvmlDeviceGetHandleByUUID(first)


class GpuMonitor:
    """Reads the GPU every 50 ms in a thread. `readings` stays None without a GPU."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._device = first_visible_device(nvml) if nvml is not None else None
        self._readings: dict[str, list[float]] = {metric.name: [] for metric in GPU_METRICS}
        self._throttled: set[str] = set()
        self._thread = PollingThread(self._poll, _SECONDS_BETWEEN_READINGS, "perfsuite-nvml")
        self._joules_before = 0.0
        self.readings: GpuReadings | None = None

    def begin(self) -> None:
        if self._device is None:
            return
        self._joules_before = self._joules()
        self._thread.start()

    def end(self) -> None:
        if self._device is None:
            return
        self._thread.stop()
        self.readings = GpuReadings(
            medians={name: median(values) for name, values in self._readings.items()},
            energy_joules=self._joules() - self._joules_before,
            throttled=tuple(sorted(self._throttled)),
        )

    def _poll(self) -> None:
        for metric in GPU_METRICS:
            self._readings[metric.name].append(metric.read(self._nvml, self._device))
        self._throttled.update(throttle_reasons(self._nvml, self._device))

    def _joules(self) -> float:
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device)) / 1e3


def throttle_reasons(nvml: Any, device: Any) -> list[str]:
    """Why the device currently runs below its full clocks."""
    bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    return [
        reason
        for name, reason in _THROTTLE_REASONS.items()
        if bits & getattr(nvml, f"nvmlClocksThrottleReason{name}", 0)
    ]


@contextmanager
def monitor_gpu() -> Iterator[GpuMonitor]:
    """Monitor the GPU while the block runs; does nothing without one."""
    monitor = GpuMonitor(load_nvml())
    monitor.begin()
    try:
        yield monitor
    finally:
        monitor.end()
