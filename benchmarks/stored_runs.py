"""Stores of generated runs, for the benchmarks of commands that read many of them."""

from __future__ import annotations

import random
from pathlib import Path

from perfsuite.measure.measurement import Environment, Measurement
from perfsuite.store.run import Run
from perfsuite.store.runs import RunStore

WORKLOADS = 200


def fill_store(root: Path, runs: int, samples: int) -> Path:
    """Store runs of equal code, one for each commit, with `samples` times of each of 200 benchmarks."""
    noise = random.Random(7)
    store = RunStore(root)
    shape = [noise.lognormvariate(0, 0.02) for _ in range(samples)]
    for number in range(runs):
        measurements, plain = {}, []
        for workload in range(WORKLOADS):
            name = f"benchmarks/test_theme_{workload % 20}.py::test_workload[jpeg-224-{workload}]"
            center = 0.001 * (workload + 1) * noise.lognormvariate(0, 0.01)
            times = tuple(center * each for each in shape)
            counters = {"dispatched_ops": 120 + workload, "casts": 3, "copies": 7, "host_syncs": 0}
            measurements[name] = Measurement(name, times, counters=counters)
            stats = {"median": center, "mean": center, "stddev": 0.0, "iqr": 0.0, "ops": 1 / center}
            plain.append({"fullname": name, "name": name, "stats": stats, "extra_info": {}})
        store.save(
            Run(
                name="head" if number == runs - 1 else "main",
                created_at=f"2026-01-01T{number:06d}",
                commit=f"{number:040x}",
                dirty=False,
                environment=Environment({"cpu": "invented"}),
                measurements=measurements,
            ),
            {"benchmarks": plain},
        )
    return root
