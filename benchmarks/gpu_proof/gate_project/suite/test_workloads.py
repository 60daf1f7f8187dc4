"""The four workloads as benchmarks."""

import pytest
import workloads

from perfsuite.pytest_plugin.fixture import Perf


@pytest.mark.parametrize("name", ["Normalization", "Augmentation", "Step", "Inference"])
def test_workload(perf: Perf, name: str) -> None:
    perf(getattr(workloads, name)(), items=workloads.BATCH, unit="images", device=workloads.DEVICE)
