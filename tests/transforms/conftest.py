from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def interpreted() -> Iterator[Callable[[str], ModuleType]]:
    """Second copies of modules, made while Triton is told to interpret; the real ones stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")

        def copied(module: str) -> ModuleType:
            spec = importlib.util.find_spec(f"perfsuite.transforms.{module}")
            assert spec is not None
            assert spec.origin is not None
            copy = importlib.util.spec_from_file_location(
                f"{module.replace('.', '_')}_interpreted", spec.origin
            )
            assert copy is not None
            assert copy.loader is not None
            made = importlib.util.module_from_spec(copy)
            patch.setitem(sys.modules, f"{module.replace('.', '_')}_interpreted", made)
            copy.loader.exec_module(made)
            return made

        yield copied
