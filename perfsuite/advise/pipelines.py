"""The pipelines that can be profiled by name, cut into their steps, with what to try about each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch

from perfsuite.advise.profile_transforms import Sample, Step, of_object
from perfsuite.errors import UsageError
from perfsuite.transforms import normalize, on_picture
from perfsuite.transforms.distort import Field, elastic, grid
from perfsuite.transforms.geometry import affine
from perfsuite.transforms.labels import move
from perfsuite.transforms.letterbox import Letterbox
from perfsuite.transforms.modes import MODES, Draw, draw
from perfsuite.transforms.statistics import IMAGENET

ADVICE_OF_ANY = "make it cheaper or leave it out"
ADVICE = {
    "Normalize": "normalise the batch on the device, or use perfsuite.transforms.normalize",
    "normalise": "hand bytes to the device and normalise the batch there",
    "LongestMaxSize": "decode at a reduced scale, or keep the pictures at training size",
    "letterbox": "decode at a reduced scale, or keep the pictures at training size",
    "PadIfNeeded": "resize into the frame at once: perfsuite.transforms.letterbox",
    "Affine": "put all geometry into one affine map, or augment on the device",
    "geometry": "augment on the device (perfsuite.transforms.on_device), or drop rotation and zoom",
    "ColorJitter": "use perfsuite.transforms.on_picture.colour, or augment on the device",
    "colour": "augment on the device (perfsuite.transforms.on_device)",
    "elastic": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "grid": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "ElasticTransform": "expensive by nature: apply it to fewer samples, or make the distorted set once",
    "GridDistortion": "expensive by nature: apply it to fewer samples, or make the distorted set once",
}


def named(name: str, size: int) -> list[Step]:
    if ":" in name:
        return of_object(name)
    if name == "letterbox":
        return _letterbox(size)
    if name == "albumentations":
        return steps_of_albumentations(_albumentations(size))
    if name == "parts":
        return _parts()
    if name in MODES and name != "none":
        return _mode(name)
    known = [
        "letterbox",
        "albumentations",
        "parts",
        *(mode for mode in MODES if mode != "none"),
        "module:name",
    ]
    raise UsageError(f"profile: pipeline {name!r}, expected one of {', '.join(known)}")


def _letterbox(size: int) -> list[Step]:
    framing = Letterbox(size, size, filter="bilinear")

    def letterbox(sample: Sample) -> Sample:
        framed, placed = framing(sample.picture)
        return Sample(framed, move(sample.keypoints, placed.forward))

    return [_step("letterbox", letterbox), _step("normalise", _normalised)]


def _parts() -> list[Step]:
    """What moves or mixes pixels cheaply, and the two distortions that make a field for every picture."""
    random = np.random.default_rng(42)
    turned, mirrored = Draw(quarter_turns=1), Draw(mirror=True)
    jittered = Draw(brightness=1.1, contrast=0.9, saturation=1.2)

    def placed(drawn: Draw) -> Callable[[Sample], Sample]:
        def apply(sample: Sample) -> Sample:
            forward = affine(drawn, *sample.picture.shape[:2])
            return Sample(on_picture.move(drawn, sample.picture), move(sample.keypoints, forward))

        return apply

    def bent(make: Callable[[int, int], Field]) -> Callable[[Sample], Sample]:
        def apply(sample: Sample) -> Sample:
            field = make(*sample.picture.shape[:2])
            points = field.points(sample.keypoints) if len(sample.keypoints) else sample.keypoints
            return Sample(field.picture(sample.picture), points)

        return apply

    steps = {
        "quarter turn": placed(turned),
        "mirror": placed(mirrored),
        "jitter": lambda sample: Sample(on_picture.colour(jittered, sample.picture), sample.keypoints),
        "elastic": bent(lambda h, w: elastic(h, w, min(h, w) / 56, min(h, w) / 14, random)),
        "grid": bent(lambda h, w: grid(h, w, 5, min(h, w) / 56, random)),
        "normalise": _normalised,
    }
    return [_step(step, apply) for step, apply in steps.items()]


def _mode(name: str) -> list[Step]:
    samples = count()

    def draws(sample: Sample) -> Sample:
        draw(name, 42, 0, next(samples))
        return sample

    drawn = draw(name, 42, 0, 1)

    def geometry(sample: Sample) -> Sample:
        height, width = sample.picture.shape[:2]
        moved = (
            move(sample.keypoints, affine(drawn, height, width))
            if len(sample.keypoints)
            else sample.keypoints
        )
        return Sample(on_picture.move(drawn, sample.picture), moved)

    def colour(sample: Sample) -> Sample:
        return Sample(on_picture.colour(drawn, sample.picture), sample.keypoints)

    steps = {"random numbers": draws, "geometry": geometry, "colour": colour, "normalise": _normalised}
    return [_step(step, apply) for step, apply in steps.items()]


def _normalised(sample: Sample) -> Sample:
    images = torch.from_numpy(sample.picture)[None]
    return Sample(normalize(images, mean=IMAGENET.mean, std=IMAGENET.std, layout="NHWC"), sample.keypoints)


def _albumentations(size: int) -> Any:
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


def steps_of_albumentations(compose: Any) -> list[Step]:
    """One step for each transform of a Compose, each in a Compose of its own, with keypoints."""
    steps: list[Step] = []
    for position, transform in enumerate(compose.transforms):
        kind = type(transform).__name__
        taken = {step.name for step in steps}
        name = kind if kind not in taken else f"{kind} {position}"
        steps.append(Step(name, _albumentations_step(transform), ADVICE.get(kind, ADVICE_OF_ANY)))
    return steps


def _albumentations_step(transform: Any) -> Callable[[Sample], Sample]:
    import albumentations

    plain = albumentations.Compose([transform])
    if not isinstance(transform, albumentations.DualTransform):
        return lambda sample: Sample(plain(image=sample.picture)["image"], sample.keypoints)
    followed = albumentations.KeypointParams(format="xy", remove_invisible=False)
    with_keypoints = albumentations.Compose([transform], keypoint_params=followed)

    def apply(sample: Sample) -> Sample:
        if not len(sample.keypoints):
            return Sample(plain(image=sample.picture)["image"], sample.keypoints)
        made = with_keypoints(image=sample.picture, keypoints=sample.keypoints)
        return Sample(made["image"], np.asarray(made["keypoints"]))

    return apply


def _step(name: str, apply: Callable[[Sample], Sample]) -> Step:
    return Step(name, apply, ADVICE.get(name, ADVICE_OF_ANY))
