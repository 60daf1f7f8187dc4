"""The last step of perfsuite's pipelines."""

from __future__ import annotations

import torch

from perfsuite.advise.profile.transforms import PipelineSample
from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET


def normalize_sample(sample: PipelineSample) -> PipelineSample:
    """Normalize a uint8 image with ImageNet's statistics, as a batch of one."""
    images = torch.from_numpy(sample.image)[None]
    return PipelineSample(
        normalize(images, mean=IMAGENET.mean, std=IMAGENET.std, layout="NHWC"), sample.keypoints
    )
