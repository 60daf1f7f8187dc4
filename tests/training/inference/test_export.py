from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from perfsuite.errors import UsageError
from perfsuite.training.inference import export as export_module
from perfsuite.training.inference.export import (
    RUNTIMES,
    OutputAgreement,
    ParityError,
    compare_outputs,
    export,
)
from perfsuite.training.models import make_model


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor]:
    """A model that tells three kinds of images apart, and such images: margins wide enough for 8 bits."""
    torch.manual_seed(0)
    labels = torch.arange(48) % 3
    images = torch.randn(48, 3, 32, 32) * 0.5 + nn.functional.one_hot(labels, 3)[:, :, None, None]
    model = make_model("small", 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(12):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
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
def test_a_runtime_answers_as_the_model_does(name: str, trained: tuple[nn.Module, Tensor]) -> None:
    if name.startswith("onnxruntime"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model, images = trained
    answer = export(name, model, images)
    with torch.inference_mode():
        for count in (1, 5, 48):
            same = answer(images[:count]).argmax(1) == model(images[:count]).argmax(1)
            assert same.float().mean() >= 0.9


@pytest.mark.parametrize("wrong", ["another class", "noise", "nan", "shape"])
def test_a_runtime_that_answers_otherwise_is_refused(
    wrong: str, trained: tuple[nn.Module, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = trained

    def make(model: nn.Module, example: Tensor) -> object:
        return {
            "another class": lambda images: model(images).flip(1),
            "noise": lambda images: model(images) + 1e-2,
            "nan": lambda images: model(images) * float("nan"),
            "shape": lambda images: model(images)[:, :2],
        }[wrong]

    planted = replace(export_module.RUNTIMES["torch.export"], make=make)
    monkeypatch.setitem(export_module.RUNTIMES, "torch.export", planted)
    with pytest.raises(ParityError, match=r"torch\.export: scores differ by .*not timed"):
        export("torch.export", model, images)


def test_answers_are_compared_without_tf32() -> None:
    def rounding(images: Tensor) -> Tensor:
        return images + torch.backends.cudnn.allow_tf32

    before = torch.backends.cudnn.allow_tf32
    assert compare_outputs(lambda images: images, rounding, [torch.eye(3)]).relative_difference == 0
    assert torch.backends.cudnn.allow_tf32 == before


def test_agreement_counts_differing_answers() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    other = scores.clone()
    other[3] = torch.tensor([0.0, 1.0])
    assert compare_outputs(lambda x: scores, lambda x: other, [scores]) == OutputAgreement(1.0, 0.75, 4)


def test_an_absent_runtime_names_the_extra(
    trained: tuple[nn.Module, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'perfsuite\[export\]'"):
        export("onnxruntime", *trained)


def test_mistakes_are_named(trained: tuple[nn.Module, Tensor]) -> None:
    with pytest.raises(UsageError, match="'caffe' is not known"):
        export("caffe", *trained)
    with pytest.raises(UsageError, match="training mode"):
        export("eager", make_model("small", 3), trained[1])
