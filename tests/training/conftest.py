from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tests.training.learners import Dispatched


@pytest.fixture
def dispatched() -> Dispatched:
    return Dispatched()


@pytest.fixture
def sgd() -> Callable[[nn.Module], torch.optim.Optimizer]:
    return lambda model: torch.optim.SGD(model.parameters(), lr=0.1)
