"""SPDL: decodes, crops and scales by FFmpeg's filters, in threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.base import BATCH_SIZE, LabeledBatches, Peer, PeerDataset, Task, normalize_batch
from perfsuite.data.decoding.jpeg_header import read_jpeg_header
from perfsuite.data.sources.files import FileSource


def make(files: FileSource, task: Task, num_workers: int, folder: Path) -> LabeledBatches:
    from spdl import io
    from spdl.pipeline import PipelineBuilder

    filters = FfmpegFilters(files, task)

    def decode(row: int) -> tuple[Any, int]:
        data = files.read(row)
        description = io.get_video_filter_desc(filter_desc=filters.describe(data), pix_fmt="rgb24")
        return io.decode_packets(io.demux_image(data), filter_desc=description), int(files.labels[row])

    def collate(decoded: list[tuple[Any, int]]) -> tuple[Tensor, Tensor]:
        frames, labels = zip(*decoded, strict=True)
        images = io.to_torch(io.convert_frames(list(frames)))
        return normalize_batch(images.permute(0, 3, 1, 2)), torch.tensor(labels)

    threads = max(1, num_workers)

    def build_pipeline() -> Any:
        builder = PipelineBuilder().add_source(range(len(files))).pipe(decode, concurrency=threads)
        return builder.aggregate(BATCH_SIZE).pipe(collate).add_sink(2).build(num_threads=threads)

    return _SpdlBatches(build_pipeline)


class _SpdlBatches:
    """One pass, with threads that end with it."""

    def __init__(self, build_pipeline: Callable[[], Any]) -> None:
        self.build_pipeline = build_pipeline

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        pipeline = self.build_pipeline()
        with pipeline.auto_stop():
            yield from pipeline.get_iterator()


class FfmpegFilters(PeerDataset):
    """FFmpeg's filter description for one image."""

    def describe(self, data: bytes) -> str:
        if self.task == "validation":
            return "scale=256:256:force_original_aspect_ratio=increase:flags=bilinear,crop=224:224"
        header = read_jpeg_header(data)
        assert header is not None
        left, top, width, height = self.draw_crop_box(header.width, header.height)
        mirror, degrees, _, brightness, contrast, saturation = self.draw_parameters()  # SPDL does not zoom
        steps = [f"crop={width}:{height}:{left}:{top}:exact=1", "scale=224:224:flags=bilinear"]
        steps += ["hflip"] if mirror else []
        if self.task == "moderate":
            steps += [
                f"rotate={math.radians(degrees)}:c=gray",
                f"eq=brightness={brightness - 1}:contrast={contrast}:saturation={saturation}",
            ]
        return ",".join(steps)


PEER = Peer("spdl", make)
