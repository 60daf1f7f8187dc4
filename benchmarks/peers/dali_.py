"""NVIDIA DALI: a pipeline with threads of its own; on a GPU nvJPEG decodes, and the rest happens there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.base import BATCH_SIZE, MEAN, STD, LabeledBatches, Peer, Task
from perfsuite.data.sources.files import FileSource

FILL = 128.0
POLL_SECONDS, IDLE_POLLS = 0.0003, 4  # several polls: a thread may be between two pieces of work


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    return make_dali(files, task, num_workers)


def make_dali(files: FileSource, task: Task, num_workers: int, on_gpu: bool = False) -> LabeledBatches:
    from nvidia.dali import fn, pipeline_def, types

    decoder, device_id = ("mixed", 0) if on_gpu else ("cpu", None)
    paths = [str(files.path(row)) for row in range(len(files))]
    labels = [int(label) for label in files.labels]

    # DALI is untyped.
    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=BATCH_SIZE, num_threads=max(1, num_workers), device_id=device_id, seed=1
    )
    def define_pipeline() -> Any:
        data, label = fn.readers.file(files=paths, labels=labels)
        if task == "validation":
            image = fn.decoders.image(data, device=decoder)
            image = fn.resize(image, resize_shorter=256, interp_type=types.INTERP_LINEAR, antialias=True)
            mirror = 0
        else:
            image = fn.decoders.image_random_crop(
                data, device=decoder, random_area=(0.08, 1.0), random_aspect_ratio=(3 / 4, 4 / 3)
            )
            image = fn.resize(image, size=(224, 224), interp_type=types.INTERP_LINEAR, antialias=True)
            mirror = fn.random.coin_flip()
        if task == "moderate":
            angle = fn.random.uniform(range=(-15.0, 15.0))
            image = fn.rotate(image, angle=angle, keep_size=True, fill_value=FILL)
            colors = {
                name: fn.random.uniform(range=(0.8, 1.2)) for name in ("brightness", "contrast", "saturation")
            }
            image = fn.color_twist(image, **colors)
        image = fn.crop_mirror_normalize(
            image,
            crop=(224, 224),
            mirror=mirror,
            mean=MEAN.flatten().tolist(),
            std=STD.flatten().tolist(),
            dtype=types.FLOAT,
            output_layout="CHW",
        )
        return image, label

    pipeline = define_pipeline()
    pipeline.build()
    return _DaliBatches(pipeline, len(files))


def _copy_to_torch(batch: Any) -> Tensor:
    """A copy, because DALI reuses its output memory."""
    from nvidia.dali.backend import TensorListCPU

    if isinstance(batch, TensorListCPU):
        return torch.from_numpy(batch.as_array().copy())
    return torch.utils.dlpack.from_dlpack(batch.as_tensor()).clone()


def _wait_for_other_threads() -> None:
    """Return when the other threads of this process use no CPU time."""
    used_before, idle_polls = 0.0, 0
    while idle_polls < IDLE_POLLS:
        time.sleep(POLL_SECONDS)
        used = time.process_time() - time.thread_time()
        idle_polls = idle_polls + 1 if used - used_before < POLL_SECONDS / 10 else 0
        used_before = used


class _DaliBatches:
    """One pass: schedule as many batches as it has, two ahead, and leave nothing running at its end.

    DALI starts one batch more than was scheduled and gives it to the next pass. This pass waits for it;
    otherwise it would be computed during the next side's turn.
    """

    PREFETCH = 2

    def __init__(self, pipeline: Any, images: int) -> None:
        self.pipeline, self.batches = pipeline, -(-images // BATCH_SIZE)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        scheduled = 0
        for number in range(self.batches):
            while scheduled < min(self.batches, number + self.PREFETCH):
                self.pipeline.schedule_run()
                scheduled += 1
            images, labels = self.pipeline.share_outputs()
            yield _copy_to_torch(images), _copy_to_torch(labels)[:, 0]
            self.pipeline.release_outputs()
        _wait_for_other_threads()


PEER = Peer("dali", make)
