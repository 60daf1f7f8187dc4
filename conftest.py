"""Options of this repository's own tests and benchmarks."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gpu_items = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_items and os.environ.get("PERFSUITE_REQUIRE_GPU") and not _has_cuda():
        raise pytest.UsageError(
            "PERFSUITE_REQUIRE_GPU is set: PyTorch finds no CUDA device, expected one; check the driver"
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
