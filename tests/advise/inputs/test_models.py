"""Models by name or of a user."""

from __future__ import annotations

import pytest
import torch

from perfsuite.advise.inputs.models import count_classes, load_model
from perfsuite.errors import UsageError
from tests.advise.inputs import user_things

USER_THINGS = "tests.advise.inputs.user_things"


def test_an_object_a_class_and_a_built_in_name_are_models() -> None:
    assert load_model(f"{USER_THINGS}:net") is user_things.net
    images = torch.zeros(4, 3, 16, 16)
    assert count_classes(load_model(f"{USER_THINGS}:Net", 7), images, "x") == 7
    assert count_classes(load_model("small", 5), images, "x") == 5


def test_counting_classes_leaves_the_mode_of_the_model() -> None:
    model = load_model(f"{USER_THINGS}:Net").train()
    count_classes(model, torch.zeros(4, 3, 16, 16), "x")
    assert model.training


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{USER_THINGS}:number", "found int, expected a torch.nn.Module"),
        (f"{USER_THINGS}:images", "found Images, expected a torch.nn.Module"),
        ("wild", "'wild' is not known"),
    ],
)
def test_what_is_no_model_is_an_error(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_model(name)


def test_a_model_that_returns_no_scores_is_an_error() -> None:
    with pytest.raises(
        UsageError, match="--model x: the model returns dict, expected a tensor of batch x cl"
    ):
        count_classes(user_things.DictNet(), torch.zeros(2, 3, 16, 16), "--model x")
    with pytest.raises(UsageError, match="expected a model that takes float images of shape"):
        count_classes(user_things.Net(), torch.zeros(2, 1, 16, 16), "--model x")
