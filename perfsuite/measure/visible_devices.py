"""The devices that CUDA shows to this process, as NVML knows them: CUDA_VISIBLE_DEVICES, MIG instances."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class VisibleDevice:
    """A card, or a MIG instance of one.

    NVML reads clocks, temperature and throttling of the card. Power, energy and utilization of an instance
    are unknown: those of the card include its other instances.
    """

    handle: Any
    card: Any  # the handle itself, or the card of a MIG instance
    is_mig: bool = False


def visible_devices(nvml: Any, environment: Mapping[str, str] | None = None) -> list[VisibleDevice]:
    """The devices in the order of CUDA_VISIBLE_DEVICES, which ends at the first entry that names none.

    An index is a position among the cards; a UUID may be cut short. None where the order is unknown.
    """
    environment = os.environ if environment is None else environment
    if is_order_unknown(nvml, environment):
        return []
    cards, text = _cards(nvml), environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return [_enumerated(nvml, card) for card in cards]
    devices: list[VisibleDevice] = []
    for entry in text.split(","):
        device = _find(nvml, cards, entry.strip())
        if device is None:
            break
        if device in devices:
            return []  # CUDA refuses a list that names a device twice
        devices.append(device)
    return devices


def is_order_unknown(nvml: Any, environment: Mapping[str, str]) -> bool:
    """Whether an index may mean another card to NVML: CUDA puts the fastest of different models first."""
    if environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return False
    entries = environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")
    models = {decode(nvml.nvmlDeviceGetName(card)) for card in _cards(nvml)}
    return len(models) > 1 and any(entry.strip().isdigit() for entry in entries)


def _cards(nvml: Any) -> list[Any]:
    return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]


def _find(nvml: Any, cards: list[Any], entry: str) -> VisibleDevice | None:
    if entry.isdigit():
        return _enumerated(nvml, cards[int(entry)]) if int(entry) < len(cards) else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    matches = [device for device in _all_devices(nvml, cards) if _uuid(nvml, device).startswith(entry)]
    if len(matches) != 1:
        return None
    return _enumerated(nvml, matches[0].handle) if entry.startswith("GPU-") else matches[0]


def _enumerated(nvml: Any, card: Any) -> VisibleDevice:
    """What CUDA shows of a card: its first MIG instance, where it has any."""
    return next(_instances(nvml, card), VisibleDevice(card, card))


def _all_devices(nvml: Any, cards: list[Any]) -> Iterator[VisibleDevice]:
    for card in cards:
        yield VisibleDevice(card, card)
        yield from _instances(nvml, card)


def _instances(nvml: Any, card: Any) -> Iterator[VisibleDevice]:
    """The MIG instances of a card."""
    if not is_mig_enabled(nvml, card):
        return
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        try:
            handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index)
        except nvml.NVMLError_NotFound:  # places may be empty
            continue
        yield VisibleDevice(handle, card, is_mig=True)


def is_mig_enabled(nvml: Any, card: Any) -> bool:
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(card)
    except nvml.NVMLError_NotSupported:
        return False
    return bool(current)


def _uuid(nvml: Any, device: VisibleDevice) -> str:
    return decode(nvml.nvmlDeviceGetUUID(device.handle))


def decode(name: str | bytes) -> str:
    """Text of NVML, which older versions of its package return as bytes."""
    return name.decode() if isinstance(name, bytes) else name


def other_processes(nvml: Any, device: VisibleDevice, own: frozenset[int] = frozenset()) -> list[int] | None:
    """The process ids that compute on the card, without `own`; None where NVML does not say."""
    try:
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(device.card)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_NoPermission):
        return None
    return sorted({int(process.pid) for process in processes} - own)
