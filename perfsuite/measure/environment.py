"""Detect the environment: hard facts that must agree before a comparison, and soft facts for warnings."""

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

from perfsuite.cores import usable_cores
from perfsuite.measure.gpu import first_visible_device, load_nvml
from perfsuite.measure.measurement import Environment

_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "albumentations", "opencv-python-headless")


@cache
def detect_environment() -> Environment:
    """The environment of this process. Reads torch's version without importing torch."""
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
    """The name of the processor. Without its clock rate, which differs from reading to reading."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("model name", "cpu model", "hardware")):
                return re.sub(r"\s+", " ", line.split(":", 1)[1]).strip()
    return platform.processor() or platform.machine() or "unknown"


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def _major_minor(version: str) -> str:
    return ".".join(version.split("+")[0].split(".")[:2])


def _cuda_major() -> str:
    """The major version of the CUDA that torch was built with, from torch's version file."""
    spec = util.find_spec("torch") if "torch" not in sys.modules else sys.modules["torch"].__spec__
    if spec is None or spec.origin is None:
        return "none"
    with suppress(OSError):
        text = Path(spec.origin).with_name("version.py").read_text()
        if match := re.search(r"^cuda[^=\n]*=\s*['\"](\d+)", text, re.MULTILINE):
            return match[1]
    return "none"


def _gpu_facts() -> tuple[dict[str, str], dict[str, str]]:
    nvml = load_nvml()
    device = first_visible_device(nvml) if nvml is not None else None
    if nvml is None or device is None:
        return {"gpu": "none", "gpus": "0"}, {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(visible.split(",")) if visible else nvml.nvmlDeviceGetCount()
    hard = {
        "gpu": _decode(nvml.nvmlDeviceGetName(device)),
        "gpus": str(count),
        "mig": _mig_mode(nvml, device),
    }
    soft = {
        "driver": _decode(nvml.nvmlSystemGetDriverVersion()),
        "power_limit_watts": str(round(nvml.nvmlDeviceGetEnforcedPowerLimit(device) / 1e3)),
    }
    return hard, soft


def _mig_mode(nvml: Any, device: Any) -> str:
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(device)
    except Exception:  # NVML raises an error on a GPU without MIG
        return "off"
    return "on" if current else "off"


def _decode(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
