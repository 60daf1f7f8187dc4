"""A pipeline of the user's own: `module:name` of a list of steps, or of an albumentations Compose."""

from __future__ import annotations

from importlib import import_module

from perfsuite.advise.profile.pipelines.albumentations_letterbox import compose_steps
from perfsuite.advise.profile.transforms import PipelineStep
from perfsuite.errors import UsageError


def steps(reference: str) -> list[PipelineStep]:
    module, _, name = reference.partition(":")
    try:
        pipeline = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"profile: {reference} cannot be loaded ({error}), expected module:name") from error
    if isinstance(pipeline, list | tuple) and all(isinstance(step, PipelineStep) for step in pipeline):
        return list(pipeline)
    if hasattr(pipeline, "transforms"):
        return compose_steps(pipeline)
    raise UsageError(
        f"profile: {reference} is {type(pipeline).__name__}, expected a list of PipelineStep or an "
        "albumentations Compose"
    )
