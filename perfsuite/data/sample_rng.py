"""Random parameters of each image (crop and augmentation) as a pure function of seed, epoch and row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perfsuite.data.crop import UNIFORMS_PER_CROP
from perfsuite.data.image_config import ImageConfig
from perfsuite.transforms.augment.counter_rng import uniforms
from perfsuite.transforms.augment.parameters import AugmentationParameters, BatchParameters

# Makes the crop independent of the augmentation.
_CROP_STREAM_KEY = 0x9E3779B97F4A7C15

IDENTITY_PARAMETERS, _MIRROR_PARAMETERS = AugmentationParameters(), AugmentationParameters(mirror=True)


def crop_uniforms(config: ImageConfig, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform numbers for the crop of each row; no columns unless the crop is random."""
    if config.crop != "random":
        return np.empty((len(rows), 0))
    # The generator gives fewer numbers per sample than a crop needs, so each row takes those of two samples.
    pairs = np.stack([2 * rows, 2 * rows + 1], axis=1).reshape(-1)
    numbers = uniforms(config.seed ^ _CROP_STREAM_KEY, epoch, pairs).reshape(len(rows), -1)
    return numbers[:, :UNIFORMS_PER_CROP]


def iterate_parameters(parameters: BatchParameters) -> Iterator[AugmentationParameters]:
    """Yield each row; the identity and a mirror alone are always the same two objects.

    Building the tuple takes longer than comparing its row, and in the cheap modes most are one of the two.
    """
    is_mirror_at_most = parameters.is_identity_except("mirror").tolist()
    for index, (is_simple, mirror) in enumerate(
        zip(is_mirror_at_most, parameters.column("mirror"), strict=True)
    ):
        if is_simple:
            yield _MIRROR_PARAMETERS if mirror else IDENTITY_PARAMETERS
        else:
            yield parameters[index]


def fold_mirror_into_resize(parameters: AugmentationParameters) -> tuple[bool, AugmentationParameters]:
    """Return whether the resize mirrors, and the parameters that remains.

    The resize mirrors at no cost. It may do so when the mirror is the only geometric change.
    """
    if parameters is IDENTITY_PARAMETERS or parameters is _MIRROR_PARAMETERS:
        return parameters is _MIRROR_PARAMETERS, IDENTITY_PARAMETERS
    if parameters.mirror and parameters.quarter_turns == 0 and parameters.affine.is_pixel_permutation:
        return True, parameters.replace(mirror=False)
    return False, parameters
