"""Prediction: from image files to class labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perfsuite.data.decoding.decoders.pillow import to_upright_rgb
from perfsuite.data.faults import reason_of
from perfsuite.data.image_file import open_image, read_file
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.training.devices import normalize_batch
from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.packing import pack_convolutions
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.step.compile import CompiledFunction
from perfsuite.transforms.letterbox import Letterbox

ImageInput = str | Path | Image.Image


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest class of an image, and the probability that the model assigns to it."""

    label: str
    probability: float
    index: int


@dataclass
class Predictor:
    """A model ready for inference: `predictor(["cat.jpg"])` returns a Prediction for each image."""

    spec: ModelSpec
    model: Callable[[Tensor], Tensor]
    device: torch.device

    @staticmethod
    def load(path: str | Path, device: torch.device | str = "cpu", compile_mode: str = "off") -> Predictor:
        """Read a checkpoint and fold BatchNorm into the convolutions, which changes scores by rounding."""
        device = torch.device(device)
        checkpoint = Checkpoint.load(path, device)
        model = checkpoint.spec.build().to(device)
        checkpoint.load_into(model, path)
        # NHWC is a quarter faster for a ResNet-18 on a CPU, and what tensor cores need on a GPU.
        model = fold_batchnorm(model.eval()).to(memory_format=torch.channels_last)
        if compile_mode == "off":
            model = pack_convolutions(model, _example_input(checkpoint.spec.image_size, device))
        return Predictor(checkpoint.spec, _maybe_compiled(model, compile_mode), device)

    def __call__(self, images: Sequence[ImageInput]) -> list[Prediction]:
        """Predict all images as one batch."""
        if not images:
            return []
        return self.predict(torch.stack([self.preprocess(image) for image in images]))

    def preprocess(self, image: ImageInput) -> Tensor:
        """Decode an image and letterbox it to the model's size: uint8, CHW."""
        with stage("decode"):
            decoded = _open_rgb(image)
        with stage("resize"):
            return _letterbox_tensor(decoded, self.spec.image_size)

    def predict(self, pixels: Tensor) -> list[Prediction]:
        """Predict uint8 NCHW images, with one device synchronization for all of them."""
        with stage("transfer"):
            pixels = pixels.to(self.device, non_blocking=True)
        with stage("normalize"):
            images = normalize_batch(pixels, self.spec.mean, self.spec.std, torch.channels_last)
        with stage("forward"), torch.inference_mode():
            probabilities, indices = self.model(images).float().softmax(1).max(1)
            # One copy to the host for both.
            rows = torch.stack([probabilities, indices.to(probabilities.dtype)]).tolist()
        names = self.spec.class_names
        return [
            Prediction(names[int(index)], probability, int(index))
            for probability, index in zip(*rows, strict=True)
        ]


def _maybe_compiled(model: nn.Module, compile_mode: str) -> Callable[[Tensor], Tensor]:
    if compile_mode == "off":
        return model
    compiled: CompiledFunction[[Tensor], Tensor] = CompiledFunction(model, compile_mode)
    return compiled


def _example_input(side: int, device: torch.device) -> Tensor:
    pixels = torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(42))
    return pixels.to(device, memory_format=torch.channels_last)


def _open_rgb(image: ImageInput) -> Image.Image:
    try:
        if isinstance(image, Image.Image):
            return to_upright_rgb(image)
        with open_image(BytesIO(read_file(image))) as opened:
            return to_upright_rgb(opened)
    except FileNotFoundError as error:
        raise DataError(f"{image}: no such image") from error
    except Exception as error:  # damaged bytes make decoders raise nearly anything
        raise DataError(f"{image}: cannot be read as an image ({reason_of(error)})") from error


def _letterbox_tensor(image: Image.Image, side: int) -> Tensor:
    framed, _ = Letterbox(side, side)(np.asarray(image))
    return torch.from_numpy(framed).permute(2, 0, 1)
