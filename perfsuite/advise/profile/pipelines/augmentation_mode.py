"""An augmentation mode: random parameters, geometry, color and normalization as four steps."""

from __future__ import annotations

from itertools import count

from perfsuite.advise.profile.pipelines.advice import advised_step
from perfsuite.advise.profile.pipelines.normalize import normalize_sample
from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.parameters import draw_parameters
from perfsuite.transforms.labels.keypoints import transform_points

SEED = 42


def steps(mode: str, size: int) -> list[PipelineStep]:
    """Geometry and color apply the parameters of one sample; the size of the image does not change."""
    indices = count()
    parameters = draw_parameters(mode, SEED, 0, 1)

    def random_numbers(sample: PipelineSample) -> PipelineSample:
        draw_parameters(mode, SEED, 0, next(indices))
        return sample

    def geometry(sample: PipelineSample) -> PipelineSample:
        height, width = sample.image.shape[:2]
        keypoints = (
            transform_points(sample.keypoints, parameters.affine.affine_matrix(height, width))
            if len(sample.keypoints)
            else sample.keypoints
        )
        return PipelineSample(cpu.warp_image(parameters, sample.image), keypoints)

    def color(sample: PipelineSample) -> PipelineSample:
        return PipelineSample(cpu.apply_pixel_operations(parameters, sample.image), sample.keypoints)

    return [
        advised_step("random numbers", random_numbers),
        advised_step("geometry", geometry),
        advised_step("color", color),
        advised_step("normalize", normalize_sample),
    ]
