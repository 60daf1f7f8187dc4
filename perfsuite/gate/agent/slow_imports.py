"""Which slow imports a fork server may make for this side."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from .variables import SET_BY_TORCH

# Third-party packages that are slow to import. What both sides import, their fork server imports once.
SLOW_IMPORTS = (
    "pytest",
    "numpy",
    "PIL.Image",
    "scipy",
    "pandas",
    "cv2",
    "numba",
    "torch",
    "torch._dynamo",
    "torch._inductor.compile_fx",
    "torchvision",
    "albumentations",
)


class ImportWatch:
    """A finder that finds nothing, and notes the slow imports before the project changed the environment.

    A project may set variables such as OMP_NUM_THREADS for a package that it imports next. The fork server
    would import it without them.
    """

    def __init__(self) -> None:
        self._environment = _variables()
        self._unaffected = {name for name in SLOW_IMPORTS if name in sys.modules}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in SLOW_IMPORTS and _variables() == self._environment:
            self._unaffected.add(name)

    def shareable(self, own_packages: Iterable[str]) -> list[str]:
        """What was imported and is not the project's own, in the order in which to import it."""
        own = frozenset(own_packages)
        return [
            name
            for name in SLOW_IMPORTS
            if name in sys.modules and name in self._unaffected and name.partition(".")[0] not in own
        ]


def _variables() -> dict[str, str]:
    """The environment variables that are neither pytest's nor torch's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name not in SET_BY_TORCH
    }
