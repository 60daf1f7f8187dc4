"""Data sets of an image at a time for torch's DataLoader: collated, then normalized once per batch.

That is the fastest known way; only Pillow's arm normalizes image by image, as most code does.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from perfsuite.data.crop import UNIFORMS_PER_CROP, random_resized_crop

BATCH = 32
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255


class PeerDataset(Dataset):
    def __init__(self, files, work):
        self.files, self.work = files, work
        self.rng = np.random.default_rng(1)

    def __len__(self):
        return len(self.files)

    def draw_crop_box(self, width, height):
        return random_resized_crop(width, height, 224, self.rng.random(UNIFORMS_PER_CROP)).box

    def draw_parameters(self):
        """Mirror, degrees, zoom, brightness, contrast, saturation: the moderate mode's."""
        u = self.rng.random(6)
        return u[0] < 0.5, 30 * u[1] - 15, 0.9 + 0.2 * u[2], *(0.8 + 0.4 * u[3:])


class TorchvisionDataset(PeerDataset):
    """torchvision.io and transforms v2 on bytes, antialiased."""

    def __getitem__(self, row):
        return self.preprocess(self.files.read(row)), int(self.files.labels[row])

    def preprocess(self, data):
        """An image from its bytes."""
        import torchvision.io  # noqa: F401 - registers torch.ops.image
        from torchvision.transforms.v2 import functional as f

        image = torch.ops.image.decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), 3, False)
        if self.work == "validation":
            return f.center_crop(f.resize(image, [256], antialias=True), [224])
        left, top, width, height = self.draw_crop_box(image.shape[2], image.shape[1])
        image = f.resized_crop(image, top, left, height, width, [224, 224], antialias=True)
        mirror, degrees, zoom, brightness, contrast, saturation = self.draw_parameters()
        if mirror:
            image = f.horizontal_flip(image)
        if self.work == "moderate":
            image = f.affine(image, degrees, [0, 0], zoom, [0.0], f.InterpolationMode.BILINEAR, fill=[128.0])
            image = f.adjust_brightness(image, brightness)
            image = f.adjust_saturation(f.adjust_contrast(image, contrast), saturation)
        return image


class OpenCvDataset(PeerDataset):
    """OpenCV and albumentations: bilinear without antialiasing, as albumentations does."""

    def __init__(self, files, work):
        import albumentations as a
        import cv2

        # As albumentations asks: the threads of workers would multiply. In a worker it is too late, as its
        # OpenCV would wait for threads that fork left behind.
        cv2.setNumThreads(1)
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


class SimplejpegDataset(OpenCvDataset):
    """simplejpeg and albumentations."""

    def __init__(self, files, work):
        import simplejpeg  # noqa: F401 - as above

        super().__init__(files, work)

    def __getitem__(self, row):
        import simplejpeg

        image = self.steps(image=simplejpeg.decode_jpeg(self.files.read(row)))["image"]
        return torch.from_numpy(image).permute(2, 0, 1), int(self.files.labels[row])


class NormalizedBatches:
    """A DataLoader whose batches are normalized when they come out."""

    def __init__(self, data, workers, finish=None, loader=DataLoader):
        many = {"persistent_workers": True, "multiprocessing_context": "fork"} if workers else {}
        self.loader = loader(
            data, batch_size=BATCH, num_workers=workers, worker_init_fn=_use_one_thread, **many
        )
        self.finish = finish or normalize_batch

    def __iter__(self):
        for images, labels in self.loader:
            yield self.finish(images), labels


def normalize_batch(images):
    return images.float().sub_(MEAN).div_(STD)


def _use_one_thread(worker):
    torch.set_num_threads(1)
