"""What is loaded: images made here, decoders, data sets, caches, shards, loaders."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.data.loader import Loader as Loader
    from perfsuite.data.loaders import Loaders as Loaders
    from perfsuite.data.loaders import make_loaders as make_loaders

# torch is imported by whoever asks for a name, not by whoever imports the folder.
_NAMES = ("Loader", "Loaders", "make_loaders")


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("perfsuite.data.loaders"), name)
