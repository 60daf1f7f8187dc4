"""Monitor the GPU through NVML: utilization, clocks, power, temperature, energy, throttling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import monotonic
from types import ModuleType
from typing import Any

from perfsuite.measure.measurement import GpuReadings
from perfsuite.measure.polling import PollingThread
from perfsuite.measure.visible_devices import VisibleDevice, visible_devices

_SECONDS_BETWEEN_READINGS = 0.02  # at least one within a gate's turn of 40 ms
_DRIVER = Path("/dev/nvidiactl")  # is there wherever a process may use the driver
# Bits of NVML that slow a GPU down. Idle clocks and clocks set by an application are not throttling.
_THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal (software)",
    0x40: "thermal (hardware)",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
# The second is the older name of the first.
_THROTTLE_FUNCTIONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")


@dataclass(frozen=True, slots=True)
class GpuMetric:
    """One number that NVML reports of a card. It is stored with a run and may have a limit: `gpu_<name>`."""

    name: str  # with its unit
    read: Callable[[Any, Any], float]  # from the NVML module and a card's handle
    more_is_better: bool
    is_known_for_mig: bool = True  # whether the card's value is also that of each MIG instance


GPU_METRICS = (
    GpuMetric(
        "utilization_percent",
        lambda nvml, card: float(nvml.nvmlDeviceGetUtilizationRates(card).gpu),
        more_is_better=True,
        is_known_for_mig=False,
    ),
    GpuMetric(
        "sm_clock_mhz",
        lambda nvml, card: float(nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM)),
        more_is_better=True,
    ),
    GpuMetric(
        "memory_clock_mhz",
        lambda nvml, card: float(nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_MEM)),
        more_is_better=True,
    ),
    GpuMetric(
        "power_watts",
        lambda nvml, card: nvml.nvmlDeviceGetPowerUsage(card) / 1e3,
        more_is_better=False,
        is_known_for_mig=False,
    ),
    GpuMetric(
        "temperature_celsius",
        lambda nvml, card: float(nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)),
        more_is_better=False,
    ),
)


def load_nvml() -> ModuleType | None:
    """The initialized NVML module; None if the package, the driver or a device is missing."""
    try:
        module = import_module("pynvml")
        module.nvmlInit()
        return module if module.nvmlDeviceGetCount() > 0 else None
    except Exception:  # each version of the package defines its own NVMLError
        return None


def nvml_problem() -> str:
    """Why a driver that is there cannot be read; empty where it can be read, and where there is none."""
    if not _DRIVER.exists():
        return ""
    try:
        module = import_module("pynvml")
        module.nvmlInit()
        module.nvmlDeviceGetCount()
    except ModuleNotFoundError:
        return "the package nvidia-ml-py is not installed"
    except Exception as error:  # see load_nvml
        return f"NVML: {error}"
    return ""


def device_index(device: str | None) -> int | None:
    """The position of a device of torch among the visible ones; None where it names none.

    >>> device_index("cuda:1"), device_index("cuda"), device_index(None)
    (1, None, None)
    """
    kind, _, index = (device or "").partition(":")
    return int(index) if kind == "cuda" and index.isdigit() else None


def throttle_reasons(nvml: Any, card: Any) -> list[str]:
    """Why the card currently runs below its full clocks."""
    bits = _throttle_bits(nvml, card)
    return [reason for bit, reason in _THROTTLE_REASONS.items() if bits & bit]


def _throttle_bits(nvml: Any, card: Any) -> int:
    newer, older = (getattr(nvml, name, None) for name in _THROTTLE_FUNCTIONS)
    if newer is not None:
        try:
            return int(newer(card))
        except nvml.NVMLError_FunctionNotFound:  # a driver that is older than the package
            pass
    if older is None:
        raise nvml.NVMLError_NotSupported
    return int(older(card))


class _DeviceMonitor:
    """The readings of one device. What the device does not support is left out."""

    def __init__(self, nvml: Any, device: VisibleDevice) -> None:
        self._nvml, self._device = nvml, device
        self._readings: dict[GpuMetric, list[float]] = {metric: [] for metric in self._supported_metrics()}
        self._throttled: set[str] = set()
        self._joules_before = self._joules()
        self._begin = monotonic()

    def _supported_metrics(self) -> list[GpuMetric]:
        metrics = []
        for metric in GPU_METRICS:
            if metric.is_known_for_mig or not self._device.is_mig:
                try:
                    metric.read(self._nvml, self._device.card)
                except (self._nvml.NVMLError_NotSupported, self._nvml.NVMLError_NoPermission):
                    continue
                except AttributeError:  # a package that is older than the metric
                    continue
                metrics.append(metric)
        return metrics

    def _joules(self) -> float | None:
        if self._device.is_mig:
            return None
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device.card)) / 1e3
        except (self._nvml.NVMLError_NotSupported, self._nvml.NVMLError_NoPermission):
            return None

    def poll(self) -> None:
        for metric, values in self._readings.items():
            values.append(metric.read(self._nvml, self._device.card))
        self._throttled.update(throttle_reasons(self._nvml, self._device.card))

    def end(self) -> GpuReadings:
        after = self._joules()
        is_known = after is not None and self._joules_before is not None
        return GpuReadings(
            medians={metric.name: median(values) for metric, values in self._readings.items()},
            energy_joules=(after or 0.0) - (self._joules_before or 0.0) if is_known else None,
            throttled=tuple(sorted(self._throttled)),
            seconds=monotonic() - self._begin,
        )


class GpuMonitor:
    """Reads the visible devices in a thread. `readings` is None without a device, or where NVML failed.

    `index` selects one of them. Without it, which one is used is unknown: the medians are those of the
    busiest device, the energy is the sum, and a throttle reason of any device counts.
    """

    def __init__(self, nvml: Any, index: int | None = None) -> None:
        self._nvml, self._index = nvml, index
        self._monitors: list[_DeviceMonitor] = []
        self._thread: PollingThread  # while there is something to read
        self.readings: GpuReadings | None = None
        self.problem = ""  # why NVML stopped to answer, such as a lost device

    def begin(self) -> None:
        if self._nvml is None:
            return
        try:
            devices = visible_devices(self._nvml)
            chosen = devices if self._index is None else devices[self._index : self._index + 1]
            self._monitors = [_DeviceMonitor(self._nvml, device) for device in chosen]
        except self._nvml.NVMLError as error:
            self._fail(error)
        self._thread = PollingThread(self._poll, _SECONDS_BETWEEN_READINGS, "perfsuite-nvml")
        self._thread.start()

    def end(self) -> None:
        if self._nvml is None:
            return
        self._thread.stop()
        try:
            readings = [monitor.end() for monitor in self._monitors]
        except self._nvml.NVMLError as error:
            self._fail(error)
        else:
            self.readings = _combine(readings)

    def _poll(self) -> None:
        try:
            for monitor in self._monitors:
                monitor.poll()
        except self._nvml.NVMLError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Give no readings at all: those until now do not describe the whole time."""
        self.problem, self._monitors = f"NVML: {error}", []


def _combine(readings: Sequence[GpuReadings]) -> GpuReadings | None:
    if len(readings) < 2:
        return readings[0] if readings else None
    busiest = max(readings, key=lambda each: each.utilization_percent or 0.0)
    joules = [each.energy_joules for each in readings if each.energy_joules is not None]
    return GpuReadings(
        medians=busiest.medians,
        energy_joules=sum(joules) if len(joules) == len(readings) else None,
        throttled=tuple(sorted({reason for each in readings for reason in each.throttled})),
        seconds=busiest.seconds,
    )


@contextmanager
def monitor_gpu(device: str | None = None) -> Iterator[GpuMonitor]:
    """Monitor the GPU while the block runs; does nothing without one, and for "cpu".

    `device` is one of torch, such as "cuda:1".
    """
    monitor = GpuMonitor(None if device == "cpu" else load_nvml(), device_index(device))
    monitor.begin()
    try:
        yield monitor
    finally:
        monitor.end()
