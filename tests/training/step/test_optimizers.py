from __future__ import annotations

import pytest
import torch
from torch import nn

from perfsuite.errors import UsageError
from perfsuite.training.models import make_model
from perfsuite.training.step.optimizers import SCHEDULES, learning_rate_schedule, make_optimizer
from tests.training.tiny_models import OperatorCounter


def test_norms_and_biases_do_not_decay() -> None:
    model = make_model("small", 3)
    decaying, sparing = make_optimizer(model, learning_rate=0.1).param_groups
    assert {one.ndim for one in sparing["params"]} == {1}
    assert all(one.ndim > 1 for one in decaying["params"])
    count = len(decaying["params"]) + len(sparing["params"])
    assert count == len(list(model.parameters()))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("path", ["fused", "foreach", "loop"])
def test_every_path_takes_the_same_step(name: str, path: str) -> None:
    ours, plain = nn.Linear(8, 4), nn.Linear(8, 4)
    plain.load_state_dict(ours.state_dict())
    for model, chosen in ((ours, path), (plain, "loop")):
        optimizer = make_optimizer(model, name, learning_rate=0.1, path=chosen)  # type: ignore[arg-type]
        model(torch.ones(2, 8)).sum().backward()
        optimizer.step()
    assert torch.allclose(ours.weight, plain.weight, atol=1e-6)


def test_the_fused_path_is_one_operator_for_each_group(dispatched: OperatorCounter) -> None:
    model = make_model("small", 3)
    optimizer = make_optimizer(model, learning_rate=0.1, path="fused")
    model(torch.ones(2, 3, 16, 16)).sum().backward()
    with dispatched:
        optimizer.step()
    assert dispatched.count["_fused_sgd_"] == 2


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_is_never_above_its_peak_nor_below_zero(name: str) -> None:
    rate = learning_rate_schedule(name, steps=50, warmup_steps=5)  # type: ignore[arg-type]
    shares = [rate(step) for step in range(60)]
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == pytest.approx(1.0, abs=0.01)
    assert shares[:5] == sorted(shares[:5])


def test_one_cycle_rises_then_falls() -> None:
    rate = learning_rate_schedule("one_cycle", steps=101)
    shares = [rate(step) for step in range(101)]
    peak = shares.index(max(shares))
    assert peak == 30
    assert shares[:31] == sorted(shares[:31])
    assert shares[30:] == sorted(shares[30:], reverse=True)


def test_a_schedule_of_one_step_is_at_its_peak() -> None:
    assert learning_rate_schedule("cosine", steps=1)(0) == 1


def test_unknown_names_and_frozen_models_are_refused() -> None:
    with pytest.raises(UsageError, match="'lion' is not known"):
        make_optimizer(nn.Linear(1, 1), "lion", learning_rate=1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'steps' is not known"):
        learning_rate_schedule("steps", 10)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no parameters that learn"):
        make_optimizer(nn.Linear(1, 1).requires_grad_(False), learning_rate=1)
