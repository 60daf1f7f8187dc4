from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perfsuite.data.engines.base import WorkerConfig
from perfsuite.data.engines.registry import ENGINES, make_engine
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.sources.files import image_folder

CPU = torch.device("cpu")


def test_the_engines_that_the_documentation_lists_exist() -> None:
    assert {"auto", "threads", "processes", "subprocess", "device"} <= set(ENGINES)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("num_workers", [0, 1])
def test_without_workers_every_host_engine_is_inline(folder: Path, name: str, num_workers: int) -> None:
    engine = make_engine(name, image_folder(folder), ImageConfig(size=32), WorkerConfig(num_workers), CPU)
    engine.close()
    assert engine.name == (name if num_workers or name == "device" else "inline")


def test_an_unknown_engine_is_an_error_with_the_known_names(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"engine: 'magic', expected one of auto, device, .*processes"):
        make_engine("magic", image_folder(folder), ImageConfig(size=32), WorkerConfig(1), CPU)
