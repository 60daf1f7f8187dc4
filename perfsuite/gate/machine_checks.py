"""What on this machine disturbs timing: governor, turbo, steal time, other processes, heat, GPU clocks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from perfsuite.measure.gpu import load_nvml, nvml_problem, throttle_reasons
from perfsuite.measure.visible_devices import VisibleDevice, other_processes, visible_devices

BUSY_PERCENT = 10.0
HOT_CELSIUS = 85.0


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """One property of the machine, what was observed, and a remedy where it disturbs timing."""

    name: str
    observed: str
    remedy: str = ""

    @property
    def is_disturbance(self) -> bool:
        return bool(self.remedy)


OWN_SECONDS = "own"  # CPU seconds of this process and of the children that it waited for
IDLE_STATES = frozenset({"idle", "iowait", "steal"})


def cpu_seconds() -> Mapping[str, float]:
    """CPU seconds in each state since the machine started; shares come from two readings."""
    return {**psutil.cpu_times()._asdict(), OWN_SECONDS: sum(os.times()[:4])}


def run_checks(
    before: Mapping[str, float], after: Mapping[str, float], root: Path = Path("/sys")
) -> list[MachineCheck]:
    """All checks; `before` and `after` are readings of `cpu_seconds` around the work."""
    return [
        check_governor(root),
        check_turbo(root),
        check_steal_time(before, after),
        check_other_processes(before, after, busiest_processes()),
        check_temperature(root),
        *check_gpu(),
    ]


def check_governor(root: Path) -> MachineCheck:
    name = _read(root / "devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if not name:
        return MachineCheck("governor", "not visible (usually a virtual machine)")
    remedy = "" if name == "performance" else "set it to performance: cpupower frequency-set -g performance"
    return MachineCheck("governor", name, remedy)


def check_turbo(root: Path) -> MachineCheck:
    no_turbo = _read(root / "devices/system/cpu/intel_pstate/no_turbo")
    boost = _read(root / "devices/system/cpu/cpufreq/boost")
    if not no_turbo and not boost:
        return MachineCheck("turbo", "not visible")
    is_on = no_turbo == "0" if no_turbo else boost == "1"
    return MachineCheck(
        "turbo", "on" if is_on else "off", "turn it off: the clock follows heat and load" if is_on else ""
    )


def check_steal_time(before: Mapping[str, float], after: Mapping[str, float]) -> MachineCheck:
    """The share of time that the host gave to other virtual machines.

    >>> check_steal_time({"user": 0.0, "steal": 0.0}, {"user": 9.0, "steal": 1.0}).observed
    '10.0 % of the time'
    """
    spent, total = _elapsed_by_state(before, after)
    share = spent.get("steal", 0.0) / total
    remedy = "another guest uses this processor; use a dedicated machine" if share > 0.01 else ""
    return MachineCheck("steal time", f"{100 * share:.1f} % of the time", remedy)


def _elapsed_by_state(
    before: Mapping[str, float], after: Mapping[str, float]
) -> tuple[dict[str, float], float]:
    """Seconds in each state, and in all of them."""
    spent = {state: seconds - before.get(state, 0.0) for state, seconds in after.items()}
    return spent, max(1e-9, sum(seconds for state, seconds in spent.items() if state != OWN_SECONDS))


def check_other_processes(before: Mapping[str, float], after: Mapping[str, float], now: str) -> MachineCheck:
    """The share of CPU time that other processes used; `now` names those that are busy at this moment.

    >>> check_other_processes({}, {"user": 5.0, "idle": 5.0, "own": 3.0}, "make 90 %").observed
    '20 % of the time; busy now: make 90 %'
    """
    spent, total = _elapsed_by_state(before, after)
    work = sum(
        seconds for state, seconds in spent.items() if state not in IDLE_STATES and state != OWN_SECONDS
    )
    share = 100 * max(0.0, work - spent.get(OWN_SECONDS, 0.0)) / total
    observed = f"{share:.0f} % of the time; busy now: {now or 'none'}"
    return MachineCheck(
        "other processes", observed, "stop them while timing" if share >= BUSY_PERCENT or now else ""
    )


def busiest_processes(seconds: float = 0.5) -> str:
    """The busiest other processes, by name and share of a core."""
    processes = list(psutil.process_iter(["name"]))
    for process in processes:
        with suppress(psutil.Error):
            process.cpu_percent()
    psutil.cpu_percent(interval=seconds)
    busy = []
    for process in processes:
        with suppress(psutil.Error):
            share = process.cpu_percent()
            if share >= BUSY_PERCENT and process.pid != psutil.Process().pid:
                busy.append((share, f"{process.info['name']} {share:.0f} %"))
    return ", ".join(name for _, name in sorted(busy, reverse=True)[:5])


def check_temperature(root: Path) -> MachineCheck:
    zones = [_read(zone) for zone in root.glob("class/thermal/thermal_zone*/temp")]
    degrees = [int(zone) / 1000 for zone in zones if zone.lstrip("-").isdigit()]
    if not degrees:
        return MachineCheck("temperature", "not visible")
    hottest = max(degrees)
    return MachineCheck("temperature", f"{hottest:.0f} °C", "let it cool" if hottest >= HOT_CELSIUS else "")


def check_gpu() -> list[MachineCheck]:
    """The checks of the visible devices. One that cannot be read counts as a disturbance."""
    nvml = load_nvml()
    if nvml is None:
        problem = nvml_problem()
        remedy = "make NVML readable, or throttling is not seen" if problem else ""
        return [MachineCheck("GPU", problem or "none", remedy)]
    try:
        checks = [check for device in visible_devices(nvml) for check in _check_device(nvml, device)]
    except nvml.NVMLError as error:
        return [MachineCheck("GPU", f"NVML: {error}", "restart the driver, or the machine")]
    return checks or [MachineCheck("GPU", "none visible")]


def _check_device(nvml: Any, device: VisibleDevice) -> list[MachineCheck]:
    card = device.card
    now = nvml.nvmlDeviceGetClockInfo(card, nvml.NVML_CLOCK_SM)
    most = nvml.nvmlDeviceGetMaxClockInfo(card, nvml.NVML_CLOCK_SM)
    degrees = nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)
    reasons, processes = throttle_reasons(nvml, card), other_processes(nvml, device)
    observed = "not visible" if processes is None else ", ".join(map(str, processes)) or "none"
    return [
        MachineCheck("GPU clock", f"{now} of {most} MHz"),
        MachineCheck("GPU temperature", f"{degrees} °C", "let it cool" if degrees >= HOT_CELSIUS else ""),
        MachineCheck(
            "GPU throttling",
            ", ".join(reasons) or "none",
            "remove its cause: heat or power" if reasons else "",
        ),
        MachineCheck("GPU processes", observed, "stop them while timing" if processes else ""),
    ]


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip()
    return ""
