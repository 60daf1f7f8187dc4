"""The letterbox pipeline built from albumentations, and the steps of any albumentations Compose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perfsuite.advise.profile.pipelines.advice import advised_step
from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep
from perfsuite.transforms.normalization.channel_stats import IMAGENET


def steps(size: int) -> list[PipelineStep]:
    import albumentations
    import cv2
    from albumentations.pytorch import ToTensorV2

    return compose_steps(
        albumentations.Compose(
            [
                albumentations.LongestMaxSize(max_size=size, interpolation=cv2.INTER_LINEAR),
                albumentations.PadIfNeeded(size, size, border_mode=cv2.BORDER_CONSTANT, fill=128),
                albumentations.Normalize(mean=IMAGENET.mean, std=IMAGENET.std),
                ToTensorV2(),
            ]
        )
    )


def compose_steps(compose: Any) -> list[PipelineStep]:
    """One step for each transform of a Compose, each in a Compose of its own, with keypoints."""
    result: list[PipelineStep] = []
    for position, transform in enumerate(compose.transforms):
        kind = type(transform).__name__
        name = unique_name(kind, position, result)
        result.append(advised_step(name, _apply_transform(transform), kind))
    return result


def unique_name(kind: str, position: int, earlier: Sequence[PipelineStep]) -> str:
    """The kind of a transform, with its position where the kind occurs again."""
    return f"{kind} {position}" if any(step.name == kind for step in earlier) else kind


def _apply_transform(transform: Any) -> Callable[[PipelineSample], PipelineSample]:
    import albumentations

    plain = albumentations.Compose([transform])
    if not isinstance(transform, albumentations.DualTransform):
        return lambda sample: PipelineSample(plain(image=sample.image)["image"], sample.keypoints)
    keypoint_params = albumentations.KeypointParams(format="xy", remove_invisible=False)
    with_keypoints = albumentations.Compose([transform], keypoint_params=keypoint_params)

    def apply(sample: PipelineSample) -> PipelineSample:
        if not len(sample.keypoints):
            return PipelineSample(plain(image=sample.image)["image"], sample.keypoints)
        output = with_keypoints(image=sample.image, keypoints=sample.keypoints)
        return PipelineSample(output["image"], np.asarray(output["keypoints"]))

    return apply
