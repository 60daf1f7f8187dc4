"""Image transforms: augmentation modes, normalization, letterboxing, geometry and labels.

>>> from perfsuite.transforms import normalize
>>> normalize.__module__
'perfsuite.transforms.normalization.api'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.transforms.augment.modes import AugmentationMode as AugmentationMode
    from perfsuite.transforms.augment.parameters import AugmentationParameters as AugmentationParameters
    from perfsuite.transforms.normalization.api import normalize as normalize
    from perfsuite.transforms.normalization.channel_stats import ChannelStatistics as ChannelStatistics

# Importing the folder does not import torch; importing a name does.
_MODULES = {
    "AugmentationMode": "augment.modes",
    "ChannelStatistics": "normalization.channel_stats",
    "AugmentationParameters": "augment.parameters",
    "normalize": "normalization.api",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
