"""What the machine is, and the two rates that everything else is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_proof.stage import Row, Stage, StageContext
from perfsuite.measure.gpu import monitor_gpu


def run(context: StageContext) -> Iterator[Row]:
    import torch  # here, because every other process of the suite imports this module too

    from benchmarks.gpu_proof import rates

    yield Row("torch", torch.__version__, f"CUDA {torch.version.cuda}")
    if not context.is_rehearsal:
        properties = torch.cuda.get_device_properties(0)
        yield Row("GPU", properties.name, f"{properties.total_memory / 2**30:.0f} GiB")
    with monitor_gpu() as gpu:
        yield rates.copy_bandwidth(context)
        yield rates.matrix_rate(context)
    if gpu.readings is not None:
        for name, value in gpu.readings.medians.items():
            yield Row(name, f"{value:.0f}", "median of the two measurements above")


STAGE = Stage(order=1, name="facts", title="Machine", limit_seconds=30, run=run)
