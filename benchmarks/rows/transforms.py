"""Rows on the cost of transforms, and on what replaces them."""

from __future__ import annotations

from benchmarks.rows.commands import ALTERNATIVES, CLAIMS, LOADERS, PROCESSES, STEP, bench, rates
from benchmarks.rows.row import Row

ROWS = (
    Row(
        id="B1",
        what="profile of single transforms, without keypoints and with them",
        command="perfsuite profile transforms --pipeline albumentations --input-size 1280x720 "
        "--input-size 640x360 --seconds {rounds}",
        figure=r"^albumentations at .*|^ +(Normalize|PadIfNeeded|LongestMaxSize|ToTensorV2|whole) .*",
        max_figures=12,
    ),
    Row(
        id="B2",
        what="ConditionalNormalize, as whole processes: real, user, system",
        command=PROCESSES,
        figure=r"^(files|conditional) .*",
    ),
    Row(
        id="B3",
        what="images normalized once in the cache",
        command=ALTERNATIVES,
        figure=rates("stored as bytes", "stored as floats"),
    ),
    Row(
        id="B4",
        what="decoded images in RAM",
        command=ALTERNATIVES,
        figure=rates("every epoch", "every epoch from decoded"),
    ),
    Row(id="B5", what="shards", command=LOADERS, figure=rates("files", "shards")),
    Row(
        id="B6",
        what="NVIDIA DALI",
        command=bench("test_peers.py", "dali", " --slow"),
        figure=rates("peer", "ours", "dali"),
        package="nvidia.dali",
        gpu_part="DALI on the device",
    ),
    Row(
        id="B7",
        what="whole processes: real, user, system",
        command=PROCESSES,
        figure=r"^(files|conditional|cached|disk|normalized) .*",
        max_figures=5,
    ),
    Row(
        id="B8",
        what="what removing a stage can give, without overlap and with it",
        command=STEP,
        figure=r"^ +(decode|normalize|augment|forward|backward) .*",
        max_figures=5,
    ),
    Row(
        id="B9",
        what="AMP, batch size, accumulation, checkpointing, exports",
        command=CLAIMS,
        figure=r"^\| (bf16|accumulated, \d+ microbatches|activation_checkpointing|torch.export|64) "
        r"\| [\d,]+ \| .*",
        max_figures=6,
        gpu_part="fp16 and TensorRT",
    ),
)
