"""`perfsuite scaling`: the model and the batch of each rank; training of ranks is tested elsewhere."""

from __future__ import annotations

import argparse
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from perfsuite.cli import main
from perfsuite.cli.commands import scaling
from perfsuite.cli.input_options import loader_argv
from perfsuite.training.distributed import torchrun

OWN = "tests.advise.inputs.user_things"


def model_and_batch(*words: str) -> Any:
    parser = argparse.ArgumentParser()
    scaling.add_arguments(parser)
    arguments = parser.parse_args(["--batch-size", "4", "--image-size", "16", *words])
    arguments.command = "scaling"
    return scaling._model_and_batch(arguments, SimpleNamespace(device=torch.device("cpu"), index=1))  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [[], ["--loader", f"{OWN}:dict_loader"], ["--dataset", f"{OWN}:Images"]])
def test_each_rank_has_a_model_for_its_batch(words: list[str]) -> None:
    model, images, labels = model_and_batch("--model", "small", *words)
    assert images.shape == (4, 3, 16, 16)
    assert model(images).shape[1] > int(labels.max())


def test_the_ranks_agree_on_the_number_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rank sees other labels; a model of its own number of classes cannot be reduced with the others."""

    def reduce_with_a_rank_of_label_41(largest: torch.Tensor, op: object) -> None:
        largest.clamp_(min=41)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", reduce_with_a_rank_of_label_41)
    model, images, _ = model_and_batch("--model", "small")
    assert model(images).shape[1] == 42


def test_the_ranks_get_the_same_options() -> None:
    arguments = argparse.Namespace(data_dir=None, dataset=None, loader="mine:loader")
    assert loader_argv(arguments) == ["--loader", "mine:loader"]


def test_a_terminated_command_ends_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_ranks(*arguments: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("not interrupted")  # by then the default action would have ended this process

    monkeypatch.setattr(torchrun, "run_ranks", run_ranks)
    assert main(["scaling", "--nproc-per-node", "2"]) == 130
