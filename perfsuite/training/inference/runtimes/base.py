"""What an export runtime is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

InferenceFunction = Callable[[Tensor], Tensor]  # images to scores

# The relative difference of scores that float32 rounding explains.
FLOAT32_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRuntime:
    """A way to run a trained model; the tolerances are what its arithmetic can promise."""

    name: str
    build: Callable[[nn.Module, Tensor], InferenceFunction]  # from the model and example images
    tolerance: float = FLOAT32_TOLERANCE  # of the scores, relative to the largest
    same_top1: float = 1.0  # fraction of images that must get the same class
    extra: str | None = None  # the perfsuite extra that installs it


@contextmanager
def ignore_exporter_warnings(module: str) -> Iterator[None]:
    """Ignore deprecations inside the exporter `module`, which its callers cannot fix."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=module.replace(".", r"\."))
        yield
