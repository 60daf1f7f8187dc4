"""The rows, with the commands that show them.

The commands run in a folder with `images/`, `m.pth`, `sweep.toml` and `load_epochs.py`; those of pytest in the
repository. Rows that one command shows share its run.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.rows.row import Row

# The ids that must have a row.
ROW_IDS = tuple(
    f"{letter}{number}"
    for letter, count in (("A", 15), ("B", 9), ("C", 8), ("D", 6), ("E", 11))
    for number in range(1, count + 1)
)

SETUP = (
    "perfsuite data make images --images 64 --classes 4",
    "perfsuite train --data-dir images --image-size 64 --epochs 1 --quiet --model-path m.pth",
)

MODES = (
    "perfsuite sweep --data-dir images --num-workers 0,2,4,8 --model small --image-size 64 "
    "--augmentation-mode conservative moderate aggressive --seconds {seconds}"
)
ADVISE = "perfsuite advise --data-dir images --report advice --seconds {seconds}"
CLAIMS = "perfsuite claims --data-dir images"  # within its default limit of 320 s
STEP = "perfsuite profile step --data-dir images --model small --augmentation-mode moderate --seconds {rounds}"
LOADING = (
    "perfsuite profile loading --data-dir images --augmentation-mode moderate --cold-files --seconds {rounds}"
)
PROCESSES = "perfsuite profile processes --seconds {seconds} " + " ".join(
    f"--command {kind}='python load_epochs.py {kind}'"
    for kind in ("files", "conditional", "cached", "normalized")
)


def _bench(files: str, tests: str, options: str = "") -> str:
    paths = " ".join(f"benchmarks/{file}" for file in files.split())
    return (
        f"pytest {paths} -k '{tests}' --perf-max-time={{rounds}} --benchmark-max-time={{rounds}} "
        f"--perf-time-only --perf-no-save{options}"
    )


ALTERNATIVES = _bench(
    "test_augment.py test_cache.py", "alternatives or when_to_augment or normalizing_once or gpu_against"
)
LOADERS = _bench(
    "test_loaders.py",
    "prefetch_factor or persistent_workers or files_and_shards or installed_decoders or output_sizes or "
    "reduced_decoding",
)
MAPS = _bench("test_cache.py", "maps_from_disk or map_file_formats or targets_overhead")


def _rates(*arms: str) -> str:
    """The lines of these workloads in the table of `pytest benchmarks`."""
    return rf"^ +({'|'.join(arms)}) +[\d.,]+ \w+/s.*"


SETTING = r"^ *\d \w+( \+\d)?"  # the first cell of a row of a sweep, such as `8 threads +2`

_TEMPLATES = (
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
        figure=_rates(
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
    Row(
        id="A8", what="time of an epoch and a run", command=MODES, figure=r".* an epoch of [\d,]+ images .*"
    ),
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
        figure=_rates("persistent", "new each epoch", r"prefetch \d"),
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
        figure=_rates("stored as bytes", "stored as floats"),
    ),
    Row(
        id="B4",
        what="decoded images in RAM",
        command=ALTERNATIVES,
        figure=_rates("every epoch", "every epoch from decoded"),
    ),
    Row(id="B5", what="shards", command=LOADERS, figure=_rates("files", "shards")),
    Row(
        id="B6",
        what="NVIDIA DALI",
        command=_bench("test_peers.py", "dali", " --slow"),
        figure=_rates("peer", "ours", "dali"),
        package="nvidia.dali",
        gpu_part="DALI on the device",
    ),
    Row(
        id="B7",
        what="whole processes: real, user, system",
        command=PROCESSES,
        figure=r"^(files|conditional|cached|normalized) .*",
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
        max_figures=5,
        gpu_part="fp16 and TensorRT",
    ),
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
        figure=_rates("stored", "in memory"),
    ),
    Row(
        id="D3",
        what="shares of a step",
        command=STEP,
        figure=r"^ +(loading|forward|decode|backward|other) .*",
        max_figures=5,
    ),
    Row(id="D4", what="npz reading, files per second", command=MAPS, figure=_rates("npy", "npz")),
    Row(
        id="D5",
        what="decoders, sizes, decoding at a reduced scale",
        command=LOADERS,
        figure=_rates(r"(?!prefetch|persistent|new|files|shards)\w[\w ]*"),
        max_figures=12,
    ),
    Row(
        id="D6",
        what="maps drawn from polygons; targets that follow the images",
        command=MAPS,
        figure=_rates("stored", "drawn", "labels", "targets"),
    ),
    Row(
        id="E1",
        what="workers by CPU count",
        command='python -c "from perfsuite.data.loaders import default_num_workers; '
        "print(default_num_workers(), 'workers')\"",
        figure=r"\d+ workers",
    ),
    Row(
        id="E2",
        what="torch.compile",
        command=CLAIMS,
        figure=r"^\| torch.compile (trains|predicts) [\d.]+x \| [\d.]+x .*",
    ),
    Row(
        id="E3",
        what="AMP",
        command=CLAIMS,
        figure=r"^\| AMP (trains|halves) .* \| [\d.]+x.*",
        gpu_part="GradScaler with fp16",
    ),
    Row(
        id="E4",
        what="gradient accumulation",
        command="perfsuite train --data-dir images --image-size 64 --gradient-accumulation-steps 4 "
        "--epochs 1 --model-path accumulated.pth --quiet",
        figure=r"test accuracy .*",
    ),
    Row(
        id="E5",
        what="model cache, latency of one image",
        command="perfsuite predict --model-path m.pth --repeat 50 images/class_00/000000.jpg",
        figure=r".*p50.*",
    ),
    Row(
        id="E6",
        what="letterbox and its inverse",
        command='python -c "import numpy as np; from perfsuite.transforms.letterbox import Letterbox; '
        "frame, place = Letterbox(640, 640)(np.zeros((720, 1280, 3), np.uint8)); print('letterbox', "
        "frame.shape, 'corner', frame[0, 0].tolist(), 'back', (place.backward @ [640, 320, 1]).tolist())\"",
        figure=r"letterbox.*",
    ),
    Row(
        id="E7",
        what="baseline, loading, compile, AMP, all combined",
        command=CLAIMS,
        figure=r"^\| (baseline|loading|all combined|all combined train .*) \| [\d,.]+x? .*",
        max_figures=6,
        gpu_part="memory of the device",
    ),
    Row(
        id="E8",
        what="command line: train",
        command="perfsuite train --mode train --data-dir images --batch-size 32 --epochs 1 --image-size 64 "
        "--gradient-accumulation-steps 2 --model-path e8.pth --quiet",
        figure=r"test accuracy .*",
    ),
    Row(
        id="E9",
        what="MLflow",
        command="perfsuite train --data-dir images --image-size 64 --epochs 1 --model-path e9.pth --quiet "
        "--mlflow",
        figure=r"test accuracy .*",
        package="mlflow",
    ),
    Row(id="E10", what="advice by kind of GPU", command=CLAIMS, figure=r"^- (here|a small|a large).*"),
    Row(
        id="E11",
        what="peak device memory",
        command=CLAIMS,
        figure=r"^\| (AMP halves|all combined halve) the memory \| [\d.]+x.*",
        is_gpu_only=True,
    ),
)


def rows(seconds: int, rounds: int) -> tuple[Row, ...]:
    """Every row; `seconds` for a command, `rounds` seconds for a part of one."""
    return tuple(
        replace(row, command=row.command.replace("{seconds}", str(seconds)).replace("{rounds}", str(rounds)))
        for row in _TEMPLATES
    )
