"""The ways of feeding pictures that people use today, with the same crops, sizes and float32 output as ours.

Each is a torch Dataset of uint8 pictures; all are collated and normalised once per batch, the fastest known
way (only `pillow` normalises picture by picture, as most code does).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from perfsuite.data.crops import NUMBERS_PER_CROP, random_resized
from perfsuite.data.folders import PilImageFolder

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255


class Peer(Dataset):
    def __init__(self, files, work):
        self.files, self.work = files, work
        self.rng = np.random.default_rng(1)

    def __len__(self):
        return len(self.files)

    def box(self, width, height):
        return random_resized(width, height, 224, self.rng.random(NUMBERS_PER_CROP)).box

    def numbers(self):
        """Mirror, degrees, zoom, brightness, contrast, saturation: the moderate mode's."""
        u = self.rng.random(6)
        return u[0] < 0.5, 30 * u[1] - 15, 0.9 + 0.2 * u[2], *(0.8 + 0.4 * u[3:])


class Torchvision(Peer):
    """torchvision.io and transforms v2 on bytes, antialiased."""

    def __getitem__(self, row):
        import torchvision.io  # noqa: F401 - registers torch.ops.image
        from torchvision.transforms.v2 import functional as f

        data = torch.frombuffer(bytearray(self.files.read(row)), dtype=torch.uint8)
        image = torch.ops.image.decode_jpeg(data, 3, False)
        if self.work == "validation":
            return f.center_crop(f.resize(image, [256], antialias=True), [224]), int(self.files.labels[row])
        left, top, width, height = self.box(image.shape[2], image.shape[1])
        image = f.resized_crop(image, top, left, height, width, [224, 224], antialias=True)
        mirror, degrees, zoom, brightness, contrast, saturation = self.numbers()
        if mirror:
            image = f.horizontal_flip(image)
        if self.work == "moderate":
            image = f.affine(image, degrees, [0, 0], zoom, [0.0], f.InterpolationMode.BILINEAR, fill=[128.0])
            image = f.adjust_brightness(image, brightness)
            image = f.adjust_saturation(f.adjust_contrast(image, contrast), saturation)
        return image, int(self.files.labels[row])


class OpenCV(Peer):
    """OpenCV and albumentations: bilinear without antialiasing, as albumentations does."""

    def __init__(self, files, work):
        import albumentations as a

        super().__init__(files, work)
        steps = [a.SmallestMaxSize(256), a.CenterCrop(224, 224)]
        if work != "validation":
            steps = [a.RandomResizedCrop((224, 224)), a.HorizontalFlip()]
        if work == "moderate":
            steps += [
                a.Affine(scale=(0.9, 1.1), rotate=(-15, 15), p=1.0, fill=128),
                a.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (0, 0), p=1.0),
            ]
        self.steps = a.Compose(steps)

    def __getitem__(self, row):
        import cv2

        data = np.frombuffer(self.files.read(row), np.uint8)
        image = self.steps(image=cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))["image"]
        return torch.from_numpy(image).permute(2, 0, 1), int(self.files.labels[row])


class Simplejpeg(OpenCV):
    """simplejpeg and albumentations."""

    def __getitem__(self, row):
        import simplejpeg

        image = self.steps(image=simplejpeg.decode_jpeg(self.files.read(row)))["image"]
        return torch.from_numpy(image).permute(2, 0, 1), int(self.files.labels[row])


class Batches:
    """A DataLoader whose batches are normalised when they come out."""

    def __init__(self, data, workers, normalised=False, batch_size=32):
        many = {"persistent_workers": True, "multiprocessing_context": "fork"} if workers else {}
        self.loader = DataLoader(data, batch_size, num_workers=workers, worker_init_fn=_alone, **many)
        self.normalised = normalised

    def __iter__(self):
        for images, labels in self.loader:
            yield (images if self.normalised else images.float().sub_(MEAN).div_(STD)), labels


def _alone(worker):
    if "cv2" in globals():
        globals()["cv2"].setNumThreads(1)
    torch.set_num_threads(1)


def peers(files, work, workers):
    """The contenders, by name."""
    return {
        "torchvision": Batches(Torchvision(files, work), workers),
        "opencv": Batches(OpenCV(files, work), workers),
        "simplejpeg": Batches(Simplejpeg(files, work), workers),
    }


def reference(files, work, workers):
    """Pillow, slower than all of them: shown in tables, not raced."""
    return Batches(PilImageFolder(files, training=work == "training"), workers, normalised=True)
