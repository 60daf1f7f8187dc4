"""Rows on the augmentation pipeline."""

from __future__ import annotations

from benchmarks.rows.commands import ADVISE, ALTERNATIVES, CLAIMS, LOADERS, LOADING, MODES, SETTING, rates
from benchmarks.rows.row import Row

ROWS = (
    Row(
        id="A1",
        what="make_loaders, unpacked; without a folder too",
        command='python -c "from perfsuite.data import make_loaders; '
        "train_loader, val_loader, test_loader, class_names, info = make_loaders(data_dir='images', "
        "batch_size=32, num_workers=8, augmentation_mode='moderate'); print(len(class_names), 'classes', "
        "info['samples']); print(len(make_loaders(num_workers=0).train), 'batches of made images')\"",
        figure=r"^\d+ (classes|batches).*",
    ),
    Row(
        id="A2",
        what="Pillow's ImageFolder against direct decoding",
        command=CLAIMS,
        figure=r"^\| (Pillow|direct), (no|2) workers \| [\d,]+ \| .*x \| .*",
        max_figures=3,
    ),
    Row(
        id="A3",
        what="modes conservative, moderate, aggressive with 8 workers",
        command=MODES,
        figure=r"^ *8 \w+ \+2 +(conservative|moderate|aggressive|none) .*",
    ),
    Row(
        id="A4",
        what="workers 0, 2, 4, 8",
        command=MODES,
        figure=SETTING + r" +[\d.,]+ .*(the knee\??|as fast|slower|unclear) *$",
    ),
    Row(
        id="A5",
        what="augmentation overhead: transforms, random numbers, memory",
        command=LOADING,
        figure=r"augmentation .* of loading .*",
    ),
    Row(
        id="A6",
        what="alternatives side by side",
        command=ALTERNATIVES,
        figure=rates(
            *("none", "ours", r"ours batched \w+", "torchvision", "albumentations", r"kornia \w+"),
            *("beforehand", "every epoch", "never"),
        ),
        max_figures=9,
        gpu_part="augmentation on the device",
    ),
    Row(
        id="A7",
        what="bottleneck: loading rate over training rate",
        command=MODES,
        figure=r"(kept|broken|unclear): the loading rate over the training rate of [\d.]+.*",
    ),
    Row(id="A8", what="time of an epoch and a run", command=MODES, figure=r".* an epoch of [\d,]+ images .*"),
    Row(
        id="A9",
        what="distribution of batch times: min, mean, max, std, p50, p90, p95, p99, first, in ms",
        command=MODES,
        figure=SETTING + r"( +[\d.,]+){9} *$",
    ),
    Row(
        id="A10",
        what="memory of a batch, prefetched, of workers, growth, of the device",
        command=MODES,
        figure=rf"{SETTING} .*iB.*|^ *training step( +-){{4}} .*",
        max_figures=5,
        gpu_part="memory of the device",
    ),
    Row(
        id="A11",
        what="CPU use of the main process and workers, in cores and of the machine",
        command=MODES,
        figure=SETTING + r" +[\d.]+ +[\d.]+ +\d+% *$",
    ),
    Row(
        id="A12",
        what="checks (with --check they are the exit code)",
        command=MODES,
        figure=r"^(kept|broken|unclear): .*",
        max_figures=12,
    ),
    Row(
        id="A13",
        what="prefetch factor, persistent workers, pinned memory",
        command=LOADERS,
        figure=rates("persistent", "new each epoch", r"prefetch \d"),
        max_figures=5,
        gpu_part="pinned and non-blocking copies",
    ),
    Row(
        id="A14",
        what="advice for the platform",
        command="perfsuite sweep --data-dir images --num-workers 8 --engine processes --augmentation-mode "
        "none --image-size 64 --seconds {rounds}",
        figure=r"worker processes .*|\d+ workers share.*",
    ),
    Row(id="A15", what="a plot and a report", command=ADVISE, figure=r"^report: .*"),
)
