from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from perfsuite.errors import ParityError, UsageError
from perfsuite.training.inference.export import OutputAgreement, compare_outputs, export
from perfsuite.training.inference.runtimes.base import InferenceFunction
from perfsuite.training.inference.runtimes.registry import RUNTIMES
from perfsuite.training.models import make_model


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor]:
    """A model that classifies three kinds of images by a margin wide enough for 8 bits, and such images."""
    torch.manual_seed(0)
    labels = torch.arange(48) % 3
    images = torch.randn(48, 3, 32, 32) * 0.5 + nn.functional.one_hot(labels, 3)[:, :, None, None]
    model = make_model("small", 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(12):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval(), images


@pytest.mark.parametrize(
    "name",  # TensorRT needs a GPU
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "compiled"))
        for name in RUNTIMES
        if name != "tensorrt"
    ],
)
def test_every_runtime_predicts_the_same_classes(name: str, trained: tuple[nn.Module, Tensor]) -> None:
    if name.startswith("onnxruntime"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model, images = trained
    infer = export(name, model, images)
    with torch.inference_mode():
        for count in (1, 5, 48):
            same = infer(images[:count]).argmax(1) == model(images[:count]).argmax(1)
            assert same.float().mean() >= 0.9


@pytest.mark.parametrize("difference", ["another class", "noise", "nan", "shape"])
def test_a_runtime_with_other_outputs_is_refused(
    difference: str, trained: tuple[nn.Module, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = trained

    def build(model: nn.Module, example: Tensor) -> InferenceFunction:
        candidates: dict[str, InferenceFunction] = {
            "another class": lambda images: model(images).flip(1),
            "noise": lambda images: model(images) + 1e-2,
            "nan": lambda images: model(images) * float("nan"),
            "shape": lambda images: model(images)[:, :2],
        }
        return candidates[difference]

    monkeypatch.setitem(RUNTIMES, "torch.export", replace(RUNTIMES["torch.export"], build=build))
    with pytest.raises(ParityError, match=r"torch\.export: scores differ by .*not timed"):
        export("torch.export", model, images)


def test_outputs_are_compared_without_tf32() -> None:
    def shift_if_tf32(images: Tensor) -> Tensor:
        return images + torch.backends.cudnn.allow_tf32

    before = torch.backends.cudnn.allow_tf32
    assert compare_outputs(lambda images: images, shift_if_tf32, [torch.eye(3)]).relative_difference == 0
    assert torch.backends.cudnn.allow_tf32 == before


def test_agreement_counts_images_of_another_class() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    other = scores.clone()
    other[3] = torch.tensor([0.0, 1.0])
    assert compare_outputs(lambda x: scores, lambda x: other, [scores]) == OutputAgreement(1.0, 0.75, 4)


def test_a_missing_runtime_names_the_extra(
    trained: tuple[nn.Module, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'perfsuite\[export\]'"):
        export("onnxruntime", *trained)


def test_unknown_runtimes_and_training_mode_are_refused(trained: tuple[nn.Module, Tensor]) -> None:
    with pytest.raises(UsageError, match="'caffe' is not known"):
        export("caffe", *trained)
    with pytest.raises(UsageError, match="training mode"):
        export("eager", make_model("small", 3), trained[1])
