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
from perfsuite.measure.gpu import load_nvml, nvml_problem
from perfsuite.measure.measurement import Environment
from perfsuite.measure.visible_devices import decode, is_mig_enabled, is_order_unknown, visible_devices

LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "albumentations", "opencv-python-headless")


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
        **{name: version_of(name) for name in LIBRARIES},
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


GpuFacts = tuple[dict[str, str], dict[str, str]]  # hard, soft


def _gpu_facts() -> GpuFacts:
    nvml = load_nvml()
    if nvml is None:
        problem = nvml_problem()
        return _unknown_gpu(problem) if problem else ({"gpu": "none", "gpus": "0"}, {})
    try:
        return _facts_of_devices(nvml)
    except nvml.NVMLError as error:  # a device that is lost, for example
        return _unknown_gpu(f"NVML: {error}")


def _unknown_gpu(problem: str) -> GpuFacts:
    """A GPU may be there and in use, so this is another environment than one without a GPU."""
    return {"gpu": "unknown", "gpus": "unknown"}, {"gpu_problem": problem}


def _facts_of_devices(nvml: Any) -> GpuFacts:
    if is_order_unknown(nvml, os.environ):
        return _unknown_gpu(
            "the cards differ and CUDA may number them in another order, set CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
    devices = visible_devices(nvml)
    if not devices:
        return {"gpu": "none", "gpus": "0"}, {}
    first = devices[0]
    hard = {
        "gpu": decode(nvml.nvmlDeviceGetName(first.handle)),  # that of a MIG instance has its size
        "gpus": str(len(devices)),
        "mig": "on" if is_mig_enabled(nvml, first.card) else "off",
    }
    soft = {"driver": decode(nvml.nvmlSystemGetDriverVersion())}
    with suppress(nvml.NVMLError_NotSupported):
        soft["power_limit_watts"] = str(round(nvml.nvmlDeviceGetEnforcedPowerLimit(first.card) / 1e3))
    return hard, soft


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"
