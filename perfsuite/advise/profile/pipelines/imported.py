"""A pipeline of the user, by `module:name`.

It is a list of PipelineStep, an albumentations or torchvision Compose or transform, an nn.Sequential of
transforms, or any callable that takes an image (height x width x 3, uint8) and returns one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from perfsuite.advise.profile.pipelines.advice import advised_step
from perfsuite.advise.profile.pipelines.albumentations_letterbox import compose_steps, unique_name
from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep
from perfsuite.errors import UsageError
from perfsuite.user_objects import load_user_object

WHO = "profile: --pipeline"


def steps(reference: str) -> list[PipelineStep]:
    pipeline = load_user_object(reference, WHO)
    if isinstance(pipeline, list | tuple) and pipeline and all(isinstance(s, PipelineStep) for s in pipeline):
        return list(pipeline)
    package = type(pipeline).__module__.partition(".")[0]
    if package == "albumentations" and not isinstance(pipeline, type):
        return compose_steps(pipeline if hasattr(pipeline, "transforms") else _Single(pipeline))
    if package == "torchvision" and not isinstance(pipeline, type):
        return _callable_steps(getattr(pipeline, "transforms", [pipeline]), _to_pil)
    if package == "torch" and isinstance(pipeline, Iterable):
        return _callable_steps(pipeline, _to_pil)
    if callable(pipeline) and not isinstance(pipeline, type):
        return _callable_steps([pipeline], None)
    raise UsageError(
        f"{WHO} {reference}: found {_describe(pipeline)}, expected a list of PipelineStep, an "
        "albumentations or "
        "torchvision Compose, or a callable that takes an image"
    )


class _Single:
    """One albumentations transform, in the place of a Compose."""

    def __init__(self, transform: Any) -> None:
        self.transforms = [transform]


def _callable_steps(
    transforms: Iterable[Any], prepare: Callable[[PipelineSample], PipelineSample] | None
) -> list[PipelineStep]:
    """A step for each callable; only the first gets an image that must be converted."""
    result: list[PipelineStep] = []
    for position, transform in enumerate(transforms):
        kind = getattr(transform, "__name__", type(transform).__name__)
        step = advised_step(
            unique_name(kind, position, result),
            _apply_callable(transform, kind),
            kind,
            prepare,
            keypoints=False,
        )
        result.append(step)
        prepare = None
    return result


def _apply_callable(transform: Callable[[Any], Any], name: str) -> Callable[[PipelineSample], PipelineSample]:
    def apply(sample: PipelineSample) -> PipelineSample:
        try:
            output = transform(sample.image)
        except Exception as error:
            raise UsageError(
                f"{WHO}: {name} raised {type(error).__name__}: {error}; expected a transform of "
                f"{type(sample.image).__name__}, as the steps before it return"
            ) from error
        image = output["image"] if isinstance(output, dict) and "image" in output else output
        return PipelineSample(image, sample.keypoints)

    return apply


def _to_pil(sample: PipelineSample) -> PipelineSample:
    """torchvision's transforms take what ImageFolder reads: Pillow images."""
    if not isinstance(sample.image, np.ndarray):
        return sample
    return PipelineSample(Image.fromarray(sample.image), sample.keypoints)


def _describe(pipeline: object) -> str:
    return f"the class {pipeline.__name__}" if isinstance(pipeline, type) else type(pipeline).__name__
