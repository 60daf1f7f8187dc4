"""From an image to its class; models are loaded once for each path and change of the file."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perfsuite.data.decoding.decoders.pillow import to_upright_rgb
from perfsuite.data.faults import reason_of
from perfsuite.data.image_file import open_image, read_file
from perfsuite.errors import DataError
from perfsuite.stages import stage
from perfsuite.training.inference.folding import fold_batchnorm
from perfsuite.training.inference.packing import pack_convolutions
from perfsuite.training.run.checkpoint import Checkpoint, ModelSpec
from perfsuite.training.step.compile import CompiledFunction
from perfsuite.transforms.letterbox import Letterbox
from perfsuite.transforms.normalization.api import normalize

ImageInput = str | Path | Image.Image


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest class of an image, and how likely the model thinks it."""

    label: str
    probability: float
    index: int


@dataclass
class Predictor:
    """A model ready to answer: `predictor(["cat.jpg"])` gives a Prediction for each image."""

    spec: ModelSpec
    model: Callable[[Tensor], Tensor]
    device: torch.device

    @staticmethod
    def load(path: str | Path, device: torch.device | str = "cpu", compile_mode: str = "off") -> Predictor:
        """Read a checkpoint; BatchNorm is folded into the convolutions, which changes answers by rounding."""
        device = torch.device(device)
        checkpoint = Checkpoint.load(path, device)
        model = checkpoint.spec.build().to(device)
        checkpoint.load_into(model, path)
        # NHWC: on a CPU a quarter faster for a ResNet-18, on a GPU what its tensor cores want.
        ready = fold_batchnorm(model.eval()).to(memory_format=torch.channels_last)
        if compile_mode == "off":
            ready = pack_convolutions(ready, _example_input(checkpoint.spec.image_size, device))
        return Predictor(checkpoint.spec, _maybe_compiled(ready, compile_mode), device)

    def __call__(self, images: Sequence[ImageInput]) -> list[Prediction]:
        """All images as one batch."""
        if not images:
            return []
        return self.predict(torch.stack([self.preprocess(image) for image in images]))

    def preprocess(self, image: ImageInput) -> Tensor:
        """The image's bytes, letterboxed to the model's size: uint8, CHW."""
        with stage("decode"):
            opened = _open_rgb(image)
        with stage("resize"):
            return _letterbox_tensor(opened, self.spec.image_size)

    def predict(self, pixels: Tensor) -> list[Prediction]:
        """Predictions for uint8 NCHW pixels; waits for the device once, for all answers together."""
        with stage("transfer"):
            pixels = pixels.to(self.device, non_blocking=True)
        with stage("normalize"):
            mean, std = self.spec.mean, self.spec.std
            images = normalize(pixels, mean=mean, std=std, memory_format=torch.channels_last)
        with stage("forward"), torch.inference_mode():
            probabilities, indices = self.model(images).float().softmax(1).max(1)
            # One copy to the host for both.
            told = torch.stack([probabilities, indices.to(probabilities.dtype)]).tolist()
        names = self.spec.class_names
        return [
            Prediction(names[int(index)], probability, int(index))
            for probability, index in zip(*told, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _LoadedModel:
    identity: tuple[int, ...]
    predictor: Future[Predictor]


class ModelCache:
    """The last few models used, by path: loaded once, again only when the file has changed.

    Threads that ask for a model while it is being loaded wait for that one loading.
    """

    def __init__(
        self, max_models: int = 4, device: torch.device | str = "cpu", compile_mode: str = "off"
    ) -> None:
        if max_models < 1:
            raise ValueError(f"model cache: max_models is {max_models}, expected 1 or more")
        self.max_models = max_models
        self.device = device
        self.compile_mode = compile_mode
        self.load_count = 0
        self._held: OrderedDict[str, _LoadedModel] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, path: str | Path) -> Predictor:
        """The model at `path`; where it is held already, no file is opened and nothing copied."""
        key = os.path.realpath(path)
        identity = _file_identity(path)
        with self._lock:
            held = self._held.get(key)
            is_mine = held is None or held.identity != identity
            if held is None or is_mine:
                held = self._held[key] = _LoadedModel(identity, Future())
                self.load_count += 1
            self._held.move_to_end(key)
            while len(self._held) > self.max_models:
                self._held.popitem(last=False)
        if is_mine:
            self._load(key, path, held)
        return held.predictor.result()

    def _load(self, key: str, path: str | Path, held: _LoadedModel) -> None:
        try:
            held.predictor.set_result(Predictor.load(path, self.device, self.compile_mode))
        except BaseException as error:
            with self._lock:
                if self._held.get(key) is held:
                    del self._held[key]
            held.predictor.set_exception(error)


def _file_identity(path: str | Path) -> tuple[int, ...]:
    """What changes when the file does: a rename over it changes the inode, writing into it the times."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise DataError(
            f"{path}: no such checkpoint ({error.strerror}); `perfsuite train --model-path {path}` makes one"
        ) from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


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
