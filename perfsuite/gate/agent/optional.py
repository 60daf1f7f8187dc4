"""Optional parts of a gated project's environment: torch, perfsuite's stages, its counters and its fixture.

Everything else in this folder imports only the standard library and pytest. These functions look up what the
project has already imported, or import perfsuite by name and do without it where that fails.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .variables import PERFSUITE_PATH_VARIABLE


class PerfsuiteFinder:
    """A last finder on `sys.meta_path` that finds perfsuite, and nothing else, in the gate's installation."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name != "perfsuite" or not os.environ.get(PERFSUITE_PATH_VARIABLE):
            return None
        package = Path(os.environ[PERFSUITE_PATH_VARIABLE]) / "perfsuite"
        return importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )


def uses_device() -> bool:
    """Whether this process has started to use a CUDA device."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def synchronize_device() -> None:
    """Wait until the CUDA device has finished, if one is in use."""
    if uses_device():
        sys.modules["torch"].cuda.synchronize()


@contextmanager
def listening_to_stages(listener: Any) -> Iterator[None]:
    """Send stage events to `listener` while the block runs, where the project has stages of this kind."""
    listen = getattr(sys.modules.get("perfsuite.stages"), "listen_to_stages", None)
    if listen is None:  # not imported, or of another version of perfsuite
        yield
        return
    with listen(listener):
        yield


def set_workload_server(serve: Callable[[str, Callable[[], Any], float], None]) -> None:
    """Let the `perf` fixture hand its workloads to `serve` instead of measuring them."""
    try:
        fixture: Any = importlib.import_module("perfsuite.pytest_plugin.fixture")
    except ImportError:
        return
    fixture.set_workload_server(serve)


def load_counter() -> Callable[[Callable[[], object]], tuple[dict[str, int], str]]:
    """The function that counts one call, and says why some counters are missing.

    ImportError where perfsuite cannot be imported. A gated perfsuite may be older than the gate's.
    """
    registry: Any = importlib.import_module("perfsuite.measure.counters.registry")

    def count(call: Callable[[], object]) -> tuple[dict[str, int], str]:
        counted = registry.count_call(call)
        return {**counted.values, **getattr(counted, "kernels", {})}, getattr(counted, "missing", "")

    return count


def torch_compile_counts() -> dict[str, int]:
    """What torch.compile has done in this process so far; ImportError where perfsuite cannot be imported."""
    if "torch._dynamo" not in sys.modules:
        return {}
    compilation = importlib.import_module("perfsuite.measure.counters.compilation")
    counts: dict[str, int] = compilation.compile_counters()
    return counts


def call_without_compiling(call: Callable[[], object]) -> None:
    """Make a call in which functions under torch.compile run as plain Python."""
    torch = sys.modules.get("torch")
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):  # type: ignore[union-attr]
        with torch.compiler.set_stance("force_eager"):  # type: ignore[union-attr]
            call()
    else:
        call()
