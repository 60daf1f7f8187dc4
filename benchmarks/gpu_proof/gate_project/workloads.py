"""Four workloads on a device: normalization, augmentation, a training step and inference."""

from __future__ import annotations

import os

import planted
import torch
from torch import nn

REHEARSAL = bool(os.environ.get("PERFSUITE_GPU_REHEARSAL"))
DEVICE = "cpu" if REHEARSAL else "cuda"
BATCH, SIZE = (2, 32) if REHEARSAL else (64, 224)


class Normalization:
    """A hundred units of the same work, so that one more unit is one percent."""

    def __init__(self) -> None:
        self.images = torch.randint(0, 256, (BATCH, 3, SIZE, SIZE), dtype=torch.uint8, device=DEVICE)

    def __call__(self) -> torch.Tensor:
        for _ in range(100 + planted.UNITS):
            normalized = self.images.float().mul_(1 / 127.5).sub_(1.0)
        return normalized


class Augmentation:
    def __init__(self) -> None:
        self.images = torch.rand(BATCH, 3, SIZE, SIZE, device=DEVICE)

    def __call__(self) -> torch.Tensor:
        for _ in range(20):
            mirrored = self.images.flip(-1).mul_(1.1).clamp_(0, 1)
        if planted.LAUNCH:
            mirrored = mirrored.neg_().neg_()
        return mirrored


class Step:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
        ).to(DEVICE)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.images = torch.rand(BATCH, 3, SIZE, SIZE, device=DEVICE)
        self.labels = torch.randint(10, (BATCH,), device=DEVICE)

    def __call__(self) -> torch.Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.model(self.images), self.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if planted.ITEM:
            loss.item()
        return loss.detach()


class Inference:
    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
        self.model = nn.Sequential(*layers).to(DEVICE).eval()
        self.images = torch.rand(BATCH, 3, SIZE, SIZE, device=DEVICE)

    @torch.inference_mode()
    def __call__(self) -> torch.Tensor:
        images = self.images.clone() if planted.COPY else self.images
        result: torch.Tensor = self.model(images)
        return result
