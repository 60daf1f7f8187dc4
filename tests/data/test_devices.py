"""Names of devices; a GPU stands in for a real one."""

from __future__ import annotations

import pytest
import torch

from perfsuite.data.devices import parse_device


@pytest.fixture
def _one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.mark.usefixtures("_one_gpu")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert [str(parse_device(name)) for name in ("cuda", "cuda:0")] == ["cuda", "cuda:0"]
    with pytest.raises(ValueError, match="'cuda:1', expected at most cuda:0"):
        parse_device("cuda:1")


@pytest.mark.usefixtures("_one_gpu")
def test_other_devices_are_not_asked_for_a_gpu() -> None:
    assert str(parse_device("meta")) == "meta"
