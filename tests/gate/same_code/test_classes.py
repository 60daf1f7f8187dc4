"""Which classes can be looked through, with bases of real packages."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from perfsuite.gate.agent.recording.classes import PLAIN_BASES, class_problem
from perfsuite.gate.agent.recording.project_files import ProjectFiles

pytest.importorskip("torch")

from torch import nn
from torch.autograd import Function as TorchFunction
from torch.utils.data import DataLoader, Dataset

number = 1


class Model(nn.Module):
    class Inner:
        pass


class Images(Dataset[int]):
    pass


class Function(TorchFunction):
    pass


class Loader(DataLoader[int]):
    pass


def problem(name: str, root: Path) -> str:
    return class_problem(sys.modules[__name__], name, ProjectFiles(str(root)))


@pytest.mark.parametrize("name", ["Model", "Model.Inner", "Images"])
def test_nothing_looks_through_a_model_or_a_dataset(tmp_path: Path, name: str) -> None:
    assert problem(name, tmp_path) == ""


def test_another_metaclass_or_base_may_look_through_a_class(tmp_path: Path) -> None:
    assert "metaclass torch.autograd.function.FunctionMeta" in problem("Function", tmp_path)
    assert problem("Loader", tmp_path).startswith("torch.utils.data.dataloader.DataLoader may look")


@pytest.mark.parametrize("name", ["Absent", "Model.Absent", "number"])
def test_what_is_no_class_is_not_found(tmp_path: Path, name: str) -> None:
    assert problem(name, tmp_path) == f"{name} is not found"


@pytest.mark.parametrize("name", sorted(PLAIN_BASES))
def test_every_plain_base_is_where_its_name_says(name: str) -> None:
    module, _, base = name.rpartition(".")
    assert isinstance(getattr(importlib.import_module(module), base), type)
