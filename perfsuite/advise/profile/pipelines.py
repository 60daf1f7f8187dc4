"""The pipelines that can be profiled by name, cut into their steps, with what to try about each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch

from perfsuite.advise.profile.transforms import PipelineSample, PipelineStep, load_object_steps
from perfsuite.errors import UsageError
from perfsuite.transforms import normalize
from perfsuite.transforms.augment import cpu
from perfsuite.transforms.augment.distortion import DisplacementField, elastic_field, grid_field
from perfsuite.transforms.augment.draws import Draw, draw
from perfsuite.transforms.augment.modes import MODES
from perfsuite.transforms.labels.keypoints import transform_points
from perfsuite.transforms.letterbox import Letterbox
from perfsuite.transforms.normalization.channel_stats import IMAGENET

DEFAULT_ADVICE = "make it cheaper or leave it out"
ADVICE = {
    "Normalize": "normalize the batch on the device, or use perfsuite.transforms.normalize",
    "normalize": "hand bytes to the device and normalize the batch there",
    "LongestMaxSize": "decode at a reduced scale, or keep the images at training size",
    "letterbox": "decode at a reduced scale, or keep the images at training size",
    "PadIfNeeded": "resize into the frame at once: perfsuite.transforms.letterbox",
    "Affine": "put all geometry into one affine map, or augment on the device",
    "geometry": "augment on the device (perfsuite.transforms.augment.device), or drop rotation and zoom",
    "ColorJitter": "use perfsuite.transforms.augment.cpu.apply_pixel_operations, or augment on the device",
    "color": "augment on the device (perfsuite.transforms.augment.device)",
    "elastic": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "grid": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "ElasticTransform": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "GridDistortion": "expensive by nature: apply it to fewer samples, or make the distorted set once",
}


def pipeline_steps(name: str, size: int) -> list[PipelineStep]:
    if ":" in name:
        return load_object_steps(name)
    if name == "letterbox":
        return _letterbox_steps(size)
    if name == "albumentations":
        return albumentations_steps(_albumentations_compose(size))
    if name == "parts":
        return _operation_steps()
    if name in MODES and name != "none":
        return _mode_steps(name)
    known = [
        "letterbox",
        "albumentations",
        "parts",
        *(mode for mode in MODES if mode != "none"),
        "module:name",
    ]
    raise UsageError(f"profile: pipeline {name!r}, expected one of {', '.join(known)}")


def _letterbox_steps(size: int) -> list[PipelineStep]:
    framing = Letterbox(size, size, filter="bilinear")

    def letterbox(sample: PipelineSample) -> PipelineSample:
        framed, placed = framing(sample.image)
        return PipelineSample(framed, transform_points(sample.keypoints, placed.forward))

    return [_step("letterbox", letterbox), _step("normalize", _normalize)]


def _operation_steps() -> list[PipelineStep]:
    """What moves or mixes pixels cheaply, and the two distortions that make a field for every image."""
    random = np.random.default_rng(42)
    turned, mirrored = Draw(quarter_turns=1), Draw(mirror=True)
    jittered = Draw(brightness=1.1, contrast=0.9, saturation=1.2)

    def placed(drawn: Draw) -> Callable[[PipelineSample], PipelineSample]:
        def apply(sample: PipelineSample) -> PipelineSample:
            forward = drawn.pose.affine_matrix(*sample.image.shape[:2])
            return PipelineSample(
                cpu.warp_image(drawn, sample.image), transform_points(sample.keypoints, forward)
            )

        return apply

    def bent(make: Callable[[int, int], DisplacementField]) -> Callable[[PipelineSample], PipelineSample]:
        def apply(sample: PipelineSample) -> PipelineSample:
            field = make(*sample.image.shape[:2])
            points = field.transform_points(sample.keypoints) if len(sample.keypoints) else sample.keypoints
            return PipelineSample(field.image(sample.image), points)

        return apply

    steps = {
        "quarter turn": placed(turned),
        "mirror": placed(mirrored),
        "jitter": lambda sample: PipelineSample(
            cpu.apply_pixel_operations(jittered, sample.image), sample.keypoints
        ),
        "elastic": bent(lambda h, w: elastic_field(h, w, min(h, w) / 56, min(h, w) / 14, random)),
        "grid": bent(lambda h, w: grid_field(h, w, 5, min(h, w) / 56, random)),
        "normalize": _normalize,
    }
    return [_step(step, apply) for step, apply in steps.items()]


def _mode_steps(name: str) -> list[PipelineStep]:
    samples = count()

    def draws(sample: PipelineSample) -> PipelineSample:
        draw(name, 42, 0, next(samples))
        return sample

    drawn = draw(name, 42, 0, 1)

    def geometry(sample: PipelineSample) -> PipelineSample:
        height, width = sample.image.shape[:2]
        moved = (
            transform_points(sample.keypoints, drawn.pose.affine_matrix(height, width))
            if len(sample.keypoints)
            else sample.keypoints
        )
        return PipelineSample(cpu.warp_image(drawn, sample.image), moved)

    def color(sample: PipelineSample) -> PipelineSample:
        return PipelineSample(cpu.apply_pixel_operations(drawn, sample.image), sample.keypoints)

    steps = {"random numbers": draws, "geometry": geometry, "color": color, "normalize": _normalize}
    return [_step(step, apply) for step, apply in steps.items()]


def _normalize(sample: PipelineSample) -> PipelineSample:
    images = torch.from_numpy(sample.image)[None]
    return PipelineSample(
        normalize(images, mean=IMAGENET.mean, std=IMAGENET.std, layout="NHWC"), sample.keypoints
    )


def _albumentations_compose(size: int) -> Any:
    try:
        import albumentations
        from albumentations.pytorch import ToTensorV2
    except ImportError as error:
        raise UsageError("profile: albumentations is not installed; pip install albumentations") from error
    import cv2

    return albumentations.Compose(
        [
            albumentations.LongestMaxSize(max_size=size, interpolation=cv2.INTER_LINEAR),
            albumentations.PadIfNeeded(size, size, border_mode=cv2.BORDER_CONSTANT, fill=128),
            albumentations.Normalize(mean=IMAGENET.mean, std=IMAGENET.std),
            ToTensorV2(),
        ]
    )


def albumentations_steps(compose: Any) -> list[PipelineStep]:
    """One step for each transform of a Compose, each in a Compose of its own, with keypoints."""
    steps: list[PipelineStep] = []
    for position, transform in enumerate(compose.transforms):
        kind = type(transform).__name__
        taken = {step.name for step in steps}
        name = kind if kind not in taken else f"{kind} {position}"
        steps.append(PipelineStep(name, _apply_transform(transform), ADVICE.get(kind, DEFAULT_ADVICE)))
    return steps


def _apply_transform(transform: Any) -> Callable[[PipelineSample], PipelineSample]:
    import albumentations

    plain = albumentations.Compose([transform])
    if not isinstance(transform, albumentations.DualTransform):
        return lambda sample: PipelineSample(plain(image=sample.image)["image"], sample.keypoints)
    followed = albumentations.KeypointParams(format="xy", remove_invisible=False)
    with_keypoints = albumentations.Compose([transform], keypoint_params=followed)

    def apply(sample: PipelineSample) -> PipelineSample:
        if not len(sample.keypoints):
            return PipelineSample(plain(image=sample.image)["image"], sample.keypoints)
        made = with_keypoints(image=sample.image, keypoints=sample.keypoints)
        return PipelineSample(made["image"], np.asarray(made["keypoints"]))

    return apply


def _step(name: str, apply: Callable[[PipelineSample], PipelineSample]) -> PipelineStep:
    return PipelineStep(name, apply, ADVICE.get(name, DEFAULT_ADVICE))
