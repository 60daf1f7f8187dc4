"""A stand-in for the NVML package, with its names: cards, MIG instances, errors, a device that is lost."""

# ruff: noqa: N801, N802, N818

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass(eq=False)
class FakeCard:
    """A card, or a MIG instance of one: `card` is then the whole card."""

    uuid: str
    name: str = "NVIDIA H100"
    utilization_percent: int = 97
    throttle_bits: int = 0
    processes: tuple[int, ...] = ()
    instances: list[FakeCard] | None = None  # None without support for MIG; empty places are not listed
    milliwatts: int = 650_000
    millijoules: int = 1_000
    unsupported: frozenset[str] = frozenset()  # names of functions


@dataclass(eq=False)
class FakeNvml:
    """Cards in the order of NVML. After `answers` calls of a device function, the device is lost."""

    cards: list[FakeCard] = field(default_factory=lambda: [FakeCard("GPU-aaa1"), FakeCard("GPU-bbb2")])
    answers: int | None = None
    has_driver: bool = True

    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """The base of all errors of NVML."""

    class NVMLError_NotSupported(NVMLError):
        pass

    class NVMLError_NoPermission(NVMLError):
        pass

    class NVMLError_NotFound(NVMLError):
        pass

    class NVMLError_FunctionNotFound(NVMLError):
        pass

    class NVMLError_GpuIsLost(NVMLError):
        pass

    class NVMLError_DriverNotLoaded(NVMLError):
        pass

    def nvmlInit(self) -> None:
        if not self.has_driver:
            raise self.NVMLError_DriverNotLoaded("Driver Not Loaded")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.1"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        return self.cards[index]

    def nvmlDeviceGetName(self, card: FakeCard) -> bytes:
        return card.name.encode()

    def nvmlDeviceGetUUID(self, card: FakeCard) -> str:
        return card.uuid

    def nvmlDeviceGetMigMode(self, card: FakeCard) -> tuple[int, int]:
        if card.instances is None:
            raise self.NVMLError_NotSupported("Not Supported")
        return int(bool(card.instances)), int(bool(card.instances))

    def nvmlDeviceGetMaxMigDeviceCount(self, card: FakeCard) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: FakeCard, index: int) -> FakeCard:
        instances = card.instances or []
        if index >= len(instances):
            raise self.NVMLError_NotFound("Not Found")
        return instances[index]

    def nvmlDeviceGetComputeRunningProcesses(self, card: FakeCard) -> list[Any]:
        self._answer(card, "nvmlDeviceGetComputeRunningProcesses")
        return [SimpleNamespace(pid=pid) for pid in card.processes]

    def nvmlDeviceGetUtilizationRates(self, card: FakeCard) -> Any:
        self._answer(card, "nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=card.utilization_percent)

    def nvmlDeviceGetClockInfo(self, card: FakeCard, which: int) -> int:
        self._answer(card, "nvmlDeviceGetClockInfo")
        return 1_980 if which == self.NVML_CLOCK_SM else 2_619

    def nvmlDeviceGetMaxClockInfo(self, card: FakeCard, which: int) -> int:
        return 1_980

    def nvmlDeviceGetPowerUsage(self, card: FakeCard) -> int:
        self._answer(card, "nvmlDeviceGetPowerUsage")
        return card.milliwatts

    def nvmlDeviceGetEnforcedPowerLimit(self, card: FakeCard) -> int:
        self._answer(card, "nvmlDeviceGetEnforcedPowerLimit")
        return 700_000

    def nvmlDeviceGetTemperature(self, card: FakeCard, sensor: int) -> int:
        self._answer(card, "nvmlDeviceGetTemperature")
        return 61

    def nvmlDeviceGetTotalEnergyConsumption(self, card: FakeCard) -> int:
        """Each reading finds half a joule more."""
        self._answer(card, "nvmlDeviceGetTotalEnergyConsumption")
        card.millijoules += 500
        return card.millijoules

    def nvmlDeviceGetCurrentClocksEventReasons(self, card: FakeCard) -> int:
        self._answer(card, "nvmlDeviceGetCurrentClocksEventReasons")
        return card.throttle_bits

    def _answer(self, card: FakeCard, function: str) -> None:
        if function in card.unsupported:
            raise self.NVMLError_NotSupported("Not Supported")
        if self.answers is not None:
            self.answers -= 1
            if self.answers < 0:
                raise self.NVMLError_GpuIsLost("GPU is lost")
