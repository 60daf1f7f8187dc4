"""Options of this repository's own tests and benchmarks."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
GPU_MARK = "mark.gpu"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu`, import only files that mark tests so: importing all others takes minutes."""
    if config.option.markexpr != "gpu" or collection_path.suffix != ".py":
        return None
    return GPU_MARK not in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_items and os.environ.get("PERFSUITE_REQUIRE_GPU") and not _has_cuda():
        raise pytest.UsageError(
            "PERFSUITE_REQUIRE_GPU is set: PyTorch finds no CUDA device, expected one; check the driver"
        )
    for path in {item.path for item in gpu_items}:
        if GPU_MARK not in path.read_text(encoding="utf-8"):
            raise pytest.UsageError(
                f"{path}: a test has the mark gpu from another file, expected `{GPU_MARK}` in this one"
            )
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))
        if item.get_closest_marker("gpu") and not (_has_cuda() or _is_gpu_rehearsal()):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped is counted and named: a green run tells what it did not look at."""
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "?"
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {number}: {reason}")


def _is_gpu_rehearsal() -> bool:
    """Whether the GPU benchmarks run on the CPU, in small, to find mistakes: `make gpu-proof`."""
    return bool(os.environ.get("PERFSUITE_GPU_REHEARSAL"))


def _has_cuda() -> bool:
    if "torch" not in sys.modules and importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()
