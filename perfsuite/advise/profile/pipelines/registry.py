"""Find a pipeline by its name: one of this folder's, or `module:name` of another package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from perfsuite.advise.profile.pipelines import (
    albumentations_letterbox,
    augmentation_mode,
    imported,
    letterbox,
    operations,
)
from perfsuite.advise.profile.transforms import PipelineStep
from perfsuite.errors import UsageError
from perfsuite.transforms.augment.modes import MODES

# By name: the steps for a size of the output in pixels.
PIPELINES: Mapping[str, Callable[[int], Sequence[PipelineStep]]] = {
    "letterbox": letterbox.steps,
    "albumentations": albumentations_letterbox.steps,
    "operations": operations.steps,
    **{mode: partial(augmentation_mode.steps, mode) for mode in MODES if mode != "none"},
}


def load_pipeline(name: str, size: int = 640) -> list[PipelineStep]:
    """The steps of a pipeline; `size` is the height and width that letterbox pipelines produce."""
    if ":" in name:
        return imported.steps(name)
    if name not in PIPELINES:
        known = ", ".join([*PIPELINES, "module:name"])
        raise UsageError(f"profile: pipeline {name!r}, expected one of {known}")
    return list(PIPELINES[name](size))
