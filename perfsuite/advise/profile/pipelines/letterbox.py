"""perfsuite's letterbox: resize and pad in one step, then normalize."""

from __future__ import annotations

from perfsuite.advise.profile.pipelines.advice import advised_step
from perfsuite.advise.profile.pipelines.normalize import normalize_sample
from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep
from perfsuite.transforms.labels.keypoints import transform_points
from perfsuite.transforms.letterbox import Letterbox


def steps(size: int) -> list[PipelineStep]:
    resize = Letterbox(size, size, filter="bilinear")

    def letterbox(sample: PipelineSample) -> PipelineSample:
        image, placement = resize(sample.image)
        return PipelineSample(image, transform_points(sample.keypoints, placement.forward))

    return [advised_step("letterbox", letterbox), advised_step("normalize", normalize_sample)]
