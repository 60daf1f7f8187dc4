"""A model by name: one of perfsuite's, or the user's, as `module:name`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.devices import DeviceTransfer
from perfsuite.training.models import make_model
from perfsuite.user_objects import call_factory, is_reference, load_user_object

MODEL = "--model"
DEFAULT_CLASSES = 10
# For images of any size, and cheap enough for two cores; measures the loader's side of training, not a model.
STAND_IN, STAND_IN_PIXELS = "stand-in", 64


def load_model(name: str, classes: int = DEFAULT_CLASSES) -> nn.Module:
    """A model by name, or an nn.Module, or a class or function that makes one.

    A class or function gets `classes` and `num_classes` if it accepts them.

    >>> load_model("torch.nn:Identity")
    Identity()
    """
    if name == STAND_IN:
        return nn.Sequential(nn.AdaptiveAvgPool2d(STAND_IN_PIXELS), make_model("small", classes))
    if not is_reference(name):
        return make_model(name, classes)
    subject, who = load_user_object(name, MODEL), f"{MODEL} {name}"
    is_module = isinstance(subject, nn.Module)
    if not is_module and callable(subject):
        subject = call_factory(subject, who, classes=classes, num_classes=classes)
    if not isinstance(subject, nn.Module):
        raise UsageError(
            f"{who}: found {type(subject).__name__}, expected a torch.nn.Module, or a class or function that "
            "makes one"
        )
    return subject


def count_classes(model: nn.Module, images: Tensor, who: str) -> int:
    """The number of scores that a classifier returns for each image."""
    was_training = model.training
    try:
        with torch.no_grad():
            scores: Any = model.eval()(images[:2])
    except Exception as error:
        raise UsageError(
            f"{who}: {type(error).__name__}: {error}; expected a model that takes float images of shape "
            f"{tuple(images.shape)}; check --image-size"
        ) from error
    finally:
        model.train(was_training)
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise UsageError(f"{who}: the model returns {found}, expected a tensor of batch x classes")
    return int(scores.shape[1])


def load_model_for(name: str, images: Tensor, labels: Tensor, least_classes: int = 0) -> nn.Module:
    """The model of that name, with scores for the labels of a batch, and for so many classes at least."""
    largest = max(int(labels.max()), least_classes - 1)
    model = load_model(name, max(DEFAULT_CLASSES, largest + 1))
    ready, _ = DeviceTransfer(torch.device("cpu"))((images, labels))
    classes = count_classes(model, ready, f"{MODEL} {name}")
    if largest >= classes:
        raise UsageError(
            f"{MODEL} {name}: {classes} scores for each image, expected more than the largest label, "
            f"{largest}"
        )
    return model
