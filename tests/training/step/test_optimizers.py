from __future__ import annotations

import pytest
import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.models import make_model
from perfsuite.training.step.optimizers import OptimizerName, make_optimizer
from perfsuite.training.step.presets import OptimizerImplementation
from tests.training.tiny_models import OperatorCounter


def test_norms_and_biases_do_not_decay() -> None:
    model = make_model("small", 3)
    decaying, exempt = make_optimizer(model, learning_rate=0.1).param_groups
    assert {parameter.ndim for parameter in exempt["params"]} == {1}
    assert all(parameter.ndim > 1 for parameter in decaying["params"])
    count = len(decaying["params"]) + len(exempt["params"])
    assert count == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("implementation", ["fused", "foreach", "loop"])
def test_every_implementation_takes_the_same_step(
    name: OptimizerName, implementation: OptimizerImplementation
) -> None:
    model, reference = nn.Linear(8, 4), nn.Linear(8, 4)
    reference.load_state_dict(model.state_dict())
    choices: list[tuple[nn.Module, OptimizerImplementation]] = [(model, implementation), (reference, "loop")]
    for stepped, chosen in choices:
        optimizer = make_optimizer(stepped, name, learning_rate=0.1, implementation=chosen)
        stepped(torch.ones(2, 8)).sum().backward()
        optimizer.step()
    assert torch.allclose(model.weight, reference.weight, atol=1e-6)


def test_the_fused_implementation_runs_one_operator_per_group(operators: OperatorCounter) -> None:
    model = make_model("small", 3)
    optimizer = make_optimizer(model, learning_rate=0.1, implementation="fused")
    model(torch.ones(2, 3, 16, 16)).sum().backward()
    with operators:
        optimizer.step()
    assert operators.count["_fused_sgd_"] == 2


def test_unknown_names_and_frozen_models_are_refused() -> None:
    with pytest.raises(UsageError, match="'lion' is not known"):
        make_optimizer(nn.Linear(1, 1), "lion", learning_rate=1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no trainable parameters"):
        make_optimizer(nn.Linear(1, 1).requires_grad_(False), learning_rate=1)
