"""What NVML says of the GPU beside a run: how busy, how fast, how hot, and whether it was held back."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from statistics import median
from types import ModuleType
from typing import Any

from perfsuite.measure.measurement import GpuReadings

_SECONDS_BETWEEN_READINGS = 0.05
# Reasons that slow a GPU down; being idle or having its clocks set by an application is none.
_THROTTLE_REASONS = {
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "thermal (software)",
    "HwThermalSlowdown": "thermal (hardware)",
    "HwPowerBrakeSlowdown": "power brake",
    "SyncBoost": "sync boost",
}


def load_nvml() -> ModuleType | None:
    """NVML, started; None where the package, the driver or a device is missing."""
    try:
        module = import_module("pynvml")
        module.nvmlInit()
    except Exception:  # NVMLError is made anew by each version of the package
        return None
    return module if module.nvmlDeviceGetCount() > 0 else None


def first_visible_device(module: Any) -> Any:
    """The handle of the first device that CUDA_VISIBLE_DEVICES leaves visible; None where it leaves none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = "0" if visible is None else visible.split(",")[0].strip()
    if first in ("", "-1"):
        return None
    if first.isdigit():
        return module.nvmlDeviceGetHandleByIndex(int(first))
    return module.nvmlDeviceGetHandleByUUID(first)


class GpuMonitor:
    """Readings taken every 50 ms by a thread while the block ran; `readings` is None without a GPU."""

    def __init__(self, module: Any) -> None:
        self._nvml = module
        self._device = first_visible_device(module) if module is not None else None
        self._looks: list[tuple[float, float, float, float, float]] = []
        self._throttled: set[str] = set()
        self._done = threading.Event()
        self._joules_before = 0.0
        self.readings: GpuReadings | None = None

    def begin(self) -> None:
        if self._device is None:
            return
        self._joules_before = self._joules()
        self._thread = threading.Thread(target=self._poll_until_stopped, name="perfsuite-nvml", daemon=True)
        self._thread.start()

    def end(self) -> None:
        if self._device is None:
            return
        self._done.set()
        self._thread.join()
        self._poll()
        busy, sm_clock, memory_clock, watts, celsius = (
            median(column) for column in zip(*self._looks, strict=True)
        )
        self.readings = GpuReadings(
            utilization_percent=busy,
            sm_clock_mhz=sm_clock,
            memory_clock_mhz=memory_clock,
            power_watts=watts,
            temperature_celsius=celsius,
            energy_joules=self._joules() - self._joules_before,
            throttled=tuple(sorted(self._throttled)),
        )

    def _poll_until_stopped(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN_READINGS):
            self._poll()

    def _poll(self) -> None:
        nvml, device = self._nvml, self._device
        self._looks.append(
            (
                float(nvml.nvmlDeviceGetUtilizationRates(device).gpu),
                float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM)),
                float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM)),
                nvml.nvmlDeviceGetPowerUsage(device) / 1e3,
                float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
            )
        )
        self._throttled.update(throttle_reasons(nvml, device))

    def _joules(self) -> float:
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device)) / 1e3


def throttle_reasons(module: Any, device: Any) -> list[str]:
    """Why the device runs slower than it could at this moment."""
    now = module.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    return [
        told
        for name, told in _THROTTLE_REASONS.items()
        if now & getattr(module, f"nvmlClocksThrottleReason{name}", 0)
    ]


@contextmanager
def monitor_gpu() -> Iterator[GpuMonitor]:
    """Watch the GPU while the block runs; does nothing where there is none."""
    watch = GpuMonitor(load_nvml())
    watch.begin()
    try:
        yield watch
    finally:
        watch.end()
