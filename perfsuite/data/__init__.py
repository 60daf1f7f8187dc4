"""Sources, decoders, caches and loaders of images."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.data.fast_image_folder import FastImageFolder as FastImageFolder
    from perfsuite.data.loader import Loader as Loader
    from perfsuite.data.loaders import Loaders as Loaders
    from perfsuite.data.loaders import make_loaders as make_loaders

# Imported on first use, so that importing this package does not import torch.
_MODULES = {
    "FastImageFolder": "fast_image_folder",
    "Loader": "loader",
    "Loaders": "loaders",
    "make_loaders": "loaders",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
