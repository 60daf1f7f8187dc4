"""What is done to pictures: modes, normalise, letterbox, geometry with its labels, on-device twins.

>>> from perfsuite.transforms import normalize
>>> normalize.__module__
'perfsuite.transforms.normalise'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.transforms.modes import Draw as Draw
    from perfsuite.transforms.modes import Mode as Mode
    from perfsuite.transforms.normalise import normalize as normalize
    from perfsuite.transforms.statistics import Statistics as Statistics

# torch is imported by whoever asks for a name, not by whoever imports the folder.
_HOMES = {"Draw": "modes", "Mode": "modes", "Statistics": "statistics", "normalize": "normalise"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
