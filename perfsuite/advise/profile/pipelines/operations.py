"""Single augmentations: cheap ones, and the two distortions that compute a field for every image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perfsuite.advise.profile.pipelines.advice import advised_step
from perfsuite.advise.profile.pipelines.normalize import normalize_sample
from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.distortion import DisplacementField, elastic_field, grid_field
from perfsuite.transforms.augment.parameters import AugmentationParameters
from perfsuite.transforms.labels.keypoints import transform_points


def steps(size: int) -> list[PipelineStep]:
    """Each operation with fixed parameters; the size of the image does not change."""
    rng = np.random.default_rng(42)
    jitter = AugmentationParameters(brightness=1.1, contrast=0.9, saturation=1.2)
    applies: dict[str, Callable[[PipelineSample], PipelineSample]] = {
        "quarter turn": _warp(AugmentationParameters(quarter_turns=1)),
        "mirror": _warp(AugmentationParameters(mirror=True)),
        "jitter": lambda sample: PipelineSample(
            cpu.apply_pixel_operations(jitter, sample.image), sample.keypoints
        ),
        "elastic": _distort(lambda h, w: elastic_field(h, w, min(h, w) / 56, min(h, w) / 14, rng)),
        "grid": _distort(lambda h, w: grid_field(h, w, 5, min(h, w) / 56, rng)),
        "normalize": normalize_sample,
    }
    return [advised_step(name, apply) for name, apply in applies.items()]


def _warp(parameters: AugmentationParameters) -> Callable[[PipelineSample], PipelineSample]:
    def apply(sample: PipelineSample) -> PipelineSample:
        forward = parameters.affine.affine_matrix(*sample.image.shape[:2])
        return PipelineSample(
            cpu.warp_image(parameters, sample.image), transform_points(sample.keypoints, forward)
        )

    return apply


def _distort(
    make_field: Callable[[int, int], DisplacementField],
) -> Callable[[PipelineSample], PipelineSample]:
    def apply(sample: PipelineSample) -> PipelineSample:
        field = make_field(*sample.image.shape[:2])
        points = field.transform_points(sample.keypoints) if len(sample.keypoints) else sample.keypoints
        return PipelineSample(field.image(sample.image), points)

    return apply
