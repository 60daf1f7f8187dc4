"""Rows on loading and preprocessing."""

from __future__ import annotations

from benchmarks.rows.commands import ADVISE, LOADERS, LOADING, MAPS, MODES, SETTING, STEP, rates
from benchmarks.rows.row import Row

ROWS = (
    Row(
        id="C1",
        what="batches per second",
        command=MODES,
        figure=r"(kept|broken|unclear): batches_per_second of .*",
    ),
    Row(
        id="C2",
        what="GPU utilization while training",
        command="perfsuite train --data-dir images --epochs 2 --model resnet18 --model-path gpu.pth",
        figure=r"the GPU was busy .*",
        is_gpu_only=True,
    ),
    Row(
        id="C3",
        what="augmentation as a share of a batch's time",
        command=MODES,
        figure=r"(kept|broken|unclear): overhead_share of .*",
    ),
    Row(
        id="C4",
        what="the knee",
        command=MODES,
        figure=r"^(set num_workers|unclear: the turns|because|until then).*",
    ),
    Row(
        id="C5",
        what="reading against computing, files in the page cache and not",
        command=LOADING,
        figure=r"(reading|computing|cold files).*",
    ),
    Row(
        id="C6",
        what="CSV, folder, settings from a file",
        command="perfsuite sweep --csv images/labels.csv --data-dir images --num-workers 0,2 "
        "--config sweep.toml --seconds {rounds}",
        figure=SETTING + r" +[\d.,]+ .*(the knee\??|as fast|slower|unclear) *$",
    ),
    Row(
        id="C7",
        what="recommendations",
        command=ADVISE,
        figure=r"^(narrow place|  change|knee|set ).*",
    ),
    Row(
        id="C8",
        what="expensive and cheap operations",
        command="perfsuite profile transforms --pipeline operations --input-size 512x512 --keypoints 0 "
        "--seconds {rounds}",
        figure=r"^ +(elastic|grid|mirror|quarter turn|jitter|slowest:|try:) .*",
        max_figures=7,
    ),
    Row(
        id="D1",
        what="stored maps are used",
        command='python -c "from perfsuite.data import make_loaders; from perfsuite.cli import main; '
        "main(['data', 'maps', 'images/annotations.json', 'maps', '--compressed']); "
        "loaders = make_loaders('images', num_workers=2, image_size=64, "
        "annotations='images/annotations.json', maps='maps'); list(loaders.train); "
        "print(loaders.info['maps'], loaders.train.map_counts)\"",
        figure=r"\{'stored'.*",
    ),
    Row(
        id="D2",
        what="maps from memory and disk",
        command=MAPS,
        figure=rates("stored", "in memory"),
    ),
    Row(
        id="D3",
        what="shares of a step",
        command=STEP,
        figure=r"^ +(loading|forward|decode|backward|other) .*",
        max_figures=5,
    ),
    Row(id="D4", what="npz reading, files per second", command=MAPS, figure=rates("npy", "npz")),
    Row(
        id="D5",
        what="decoders, sizes, decoding at a reduced scale",
        command=LOADERS,
        figure=rates(r"(?!prefetch|persistent|new|files|shards)\w[\w ]*"),
        max_figures=12,
    ),
    Row(
        id="D6",
        what="maps drawn from polygons; targets that follow the images",
        command=MAPS,
        figure=rates("stored", "drawn", "labels", "targets"),
    ),
)
