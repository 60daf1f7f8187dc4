"""What machine and what versions this is: hard facts that must agree, soft ones that are told."""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import psutil

from perfsuite.measure.gpu import first_visible_device, load_nvml
from perfsuite.measure.measurement import Environment

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "albumentations", "opencv-python-headless")


@cache
def detect_environment() -> Environment:
    """The environment of this process. Torch is asked for its version without being imported."""
    gpu_hard, gpu_soft = _gpu_facts()
    hard = {
        "os": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cores": str(usable_cores()),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "torch": _major_minor(version_of("torch")),
        "cuda": _cuda_major(),
        **gpu_hard,
    }
    soft = {
        "kernel": platform.release(),
        "python_patch": platform.python_version(),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "omp_threads": os.environ.get("OMP_NUM_THREADS", "unset"),
        **{name: version_of(name) for name in _LIBRARIES},
        **gpu_soft,
    }
    return Environment(hard, soft)


def cpu_model() -> str:
    """The processor's name as it calls itself; never its clock, which changes from reading to reading."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "cpu model", "hardware")):
                return re.sub(r"\s+", " ", line.split(":", 1)[1]).strip()
    return platform.processor() or platform.machine() or "unknown"


def usable_cores() -> int:
    """Cores that this process may use, which in a container or under taskset are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def _major_minor(version: str) -> str:
    return ".".join(version.split("+")[0].split(".")[:2])


def _cuda_major() -> str:
    """The CUDA that torch was built with, read from its version file."""
    found = util.find_spec("torch") if "torch" not in sys.modules else sys.modules["torch"].__spec__
    if found is None or found.origin is None:
        return "none"
    with suppress(OSError):
        text = Path(found.origin).with_name("version.py").read_text()
        if built := re.search(r"^cuda[^=\n]*=\s*['\"](\d+)", text, re.MULTILINE):
            return built[1]
    return "none"


def _gpu_facts() -> tuple[dict[str, str], dict[str, str]]:
    module = load_nvml()
    device = first_visible_device(module) if module is not None else None
    if module is None or device is None:
        return {"gpu": "none", "gpus": "0"}, {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(visible.split(",")) if visible else module.nvmlDeviceGetCount()
    hard = {
        "gpu": _decode(module.nvmlDeviceGetName(device)),
        "gpus": str(count),
        "mig": _mig_mode(module, device),
    }
    soft = {
        "driver": _decode(module.nvmlSystemGetDriverVersion()),
        "power_limit_watts": str(round(module.nvmlDeviceGetEnforcedPowerLimit(device) / 1e3)),
    }
    return hard, soft


def _mig_mode(module: Any, device: Any) -> str:
    try:
        current, _pending = module.nvmlDeviceGetMigMode(device)
    except Exception:  # a GPU that knows no MIG answers with an error
        return "off"
    return "on" if current else "off"


def _decode(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
