"""What to try about a slow transform, by its name."""

from __future__ import annotations

from collections.abc import Callable

from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep

SampleFunction = Callable[[PipelineSample], PipelineSample]
DEFAULT_ADVICE = "make it cheaper or leave it out"
_EXPENSIVE = "expensive by nature: apply it to fewer samples, or distort the images once and store them"
ADVICE = {
    "Normalize": "normalize the batch on the device, or use perfsuite.transforms.normalize",
    "normalize": "transfer bytes to the device and normalize the batch there",
    "LongestMaxSize": "decode at a reduced scale, or store the images at training size",
    "letterbox": "decode at a reduced scale, or store the images at training size",
    "PadIfNeeded": "resize and pad in one step: perfsuite.transforms.letterbox",
    "Resize": "decode at a reduced scale, or store the images at training size",
    "RandomResizedCrop": "decode only the crop (make_loaders), or store the images at training size",
    "ToTensor": "keep bytes, and normalize the batch on the device or with perfsuite.transforms.normalize",
    "Affine": "compose all geometry into one affine map, or augment on the device",
    "geometry": "augment on the device (perfsuite.transforms.augment.device), or drop rotation and zoom",
    "ColorJitter": "use perfsuite.transforms.augment.cpu.apply_pixel_operations, or augment on the device",
    "color": "augment on the device (perfsuite.transforms.augment.device)",
    "elastic": _EXPENSIVE,
    "grid": _EXPENSIVE,
    "ElasticTransform": _EXPENSIVE,
    "GridDistortion": _EXPENSIVE,
}


def advised_step(
    name: str,
    apply: SampleFunction,
    kind: str | None = None,
    prepare: SampleFunction | None = None,
    keypoints: bool = True,
) -> PipelineStep:
    """A step with the advice for its kind, which is its name unless given."""
    advice = ADVICE.get(kind or name, DEFAULT_ADVICE)
    return PipelineStep(name, apply, advice, prepare, moves_keypoints=keypoints)
