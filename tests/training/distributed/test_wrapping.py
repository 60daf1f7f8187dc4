from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from torch import nn

from perfsuite.training.distributed.wrapping import Wrapping, no_gradient_sync, wrapping_of


class DdpLike(nn.Linear):
    """A model with the method that DistributedDataParallel adds."""

    def no_sync(self) -> AbstractContextManager[None]:
        return nullcontext()


class FsdpLike(nn.Linear):
    """A model with the method that fully_shard adds."""

    syncs_gradients = True

    def set_requires_gradient_sync(self, requires: bool) -> None:
        self.syncs_gradients = requires


@pytest.mark.parametrize(("kind", "expected"), [(nn.Linear, "none"), (DdpLike, "ddp"), (FsdpLike, "fsdp")])
def test_a_wrapping_is_recognized_by_its_method(kind: type[Any], expected: Wrapping) -> None:
    assert wrapping_of(kind(1, 1)) == expected


def test_gradient_sync_of_a_sharded_model_is_restored_after_an_error() -> None:
    model = FsdpLike(1, 1)
    with pytest.raises(RuntimeError, match="planted"), no_gradient_sync(model):  # noqa: PT012
        assert not model.syncs_gradients
        raise RuntimeError("planted")
    assert model.syncs_gradients
