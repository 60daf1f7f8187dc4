from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def interpreted() -> Iterator[Callable[[str], ModuleType]]:
    """Load second copies of kernel modules under TRITON_INTERPRET=1; the modules themselves are unchanged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")

        def load_copy(module: str) -> ModuleType:
            spec = importlib.util.find_spec(f"perfsuite.transforms.{module}")
            assert spec is not None
            assert spec.origin is not None
            name = f"{module.replace('.', '_')}_interpreted"
            copy_spec = importlib.util.spec_from_file_location(name, spec.origin)
            assert copy_spec is not None
            assert copy_spec.loader is not None
            copy = importlib.util.module_from_spec(copy_spec)
            patch.setitem(sys.modules, name, copy)
            copy_spec.loader.exec_module(copy)
            return copy

        yield load_copy
