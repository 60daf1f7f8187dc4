from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.one_thread import one_thread  # noqa: F401 - is used by being here
from tests.training.tiny_models import OperatorCounter


@pytest.fixture
def operators() -> OperatorCounter:
    return OperatorCounter()


@pytest.fixture
def sgd() -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=0.1)
