"""The rows, with the commands that show them. The commands run in a folder with `images/` and `m.pth`."""

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

SWEEP = "perfsuite sweep --data-dir images --num-workers 0,2,4,8 --model small --seconds {seconds}"
MODES = f"{SWEEP} --augmentation-mode conservative moderate aggressive --image-size 64"
CLAIMS = "perfsuite claims --data-dir images --seconds {seconds}0"
STEP = "perfsuite profile step --data-dir images --model small --seconds {seconds}"


def _bench(file: str, tests: str) -> str:
    options = "--perf-max-time={rounds} --benchmark-max-time={rounds} --perf-time-only --perf-no-save"
    return f"pytest benchmarks/{file} -k '{tests}' {options}"


RATE = r"^ +\S.* [\d.,]+ \w+/s.*"  # a line of the table of `pytest benchmarks`

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
        figure=r"^\| direct, no workers \| [\d,]+ \| .*x \| .*",
    ),
    Row(
        id="A3",
        what="modes conservative, moderate, aggressive",
        command=MODES,
        figure=r"^ *0 inline +(moderate|conservative|aggressive|none) .*",
    ),
    Row(
        id="A4",
        what="workers 0, 2, 4, 8",
        command=MODES,
        figure=r"^ *[0248] (inline|processes|threads).*(knee|faster|slower|unclear|within).*",
    ),
    Row(
        id="A5",
        what="augmentation overhead: transforms, random numbers, memory",
        command=_bench("test_augment.py", "overhead"),
        figure=RATE,
    ),
    Row(
        id="A6",
        what="alternatives side by side",
        command=_bench("test_augment.py", "alternatives or gpu_against"),
        figure=RATE,
        gpu_part="augmentation on the device",
    ),
    Row(
        id="A7",
        what="bottleneck: loading rate over training rate",
        command=MODES,
        figure=r"the loading rate over the training rate of [\d.]+",
    ),
    Row(id="A8", what="time of an epoch and a run", command=MODES, figure=r"an epoch of \d+ images takes .*"),
    Row(
        id="A9",
        what="distribution of batch times",
        command=MODES,
        figure=r"^ *\d (inline|processes|threads)( \+\d)?( +[\d.,]+){9} *$",
    ),
    Row(
        id="A10",
        what="memory of a batch, prefetched, of workers",
        command=MODES,
        figure=r"^ *\d (inline|processes|threads).*iB.*",
        gpu_part="memory of the device",
    ),
    Row(
        id="A11",
        what="CPU use of the main process and workers",
        command=MODES,
        figure=r"^ *\d (inline|processes|threads).*% .*iB.*",
    ),
    Row(
        id="A12",
        what="checks",
        command=f"{MODES} --check",
        figure=r"^(kept|broken|unclear): .*",
        exit_codes=(0, 1, 10),
    ),
    Row(
        id="A13",
        what="prefetch factor, persistent workers, pinned memory",
        command=_bench("test_loaders.py", "prefetch or persistent"),
        figure=RATE,
        gpu_part="pinned and non-blocking copies",
    ),
    Row(
        id="A14",
        what="advice for the platform",
        command="perfsuite sweep --data-dir images --num-workers 8 --engine processes --augmentation-mode "
        "none --image-size 64 --seconds {seconds}",
        figure=r"worker processes .*|\d+ workers share.*",
    ),
    Row(
        id="A15",
        what="a plot and a report",
        command="perfsuite advise --data-dir images --report advice --seconds {seconds}",
        figure=r".*(advice/|\.svg|\.html|\.md).*",
    ),
    Row(
        id="B1",
        what="profile of single transforms",
        command="perfsuite profile transforms --pipeline albumentations --input-size 1280x720 "
        "--input-size 640x360 --seconds {rounds}",
        figure=r"^ +(Normalize|PadIfNeeded|LongestMaxSize|ToTensorV2|whole) .*",
    ),
    Row(
        id="B2",
        what="ConditionalNormalize",
        command=_bench("test_normalize.py", "conditional or pass_through"),
        figure=RATE,
    ),
    Row(
        id="B3",
        what="images normalized once in the cache",
        command=_bench("test_cache.py", "normalizing_once"),
        figure=RATE,
    ),
    Row(
        id="B4",
        what="decoded images in RAM",
        command='python -c "from perfsuite.data import make_loaders; '
        "loader = make_loaders('images', num_workers=0, image_size=64, cache='ram').train; list(loader); "
        "print(loader.source.cached_count, 'images decoded once,', loader.source.capacity, 'fit')\"",
        figure=r"\d+ images decoded once.*",
    ),
    Row(
        id="B5",
        what="shards",
        command=_bench("test_loaders.py", "files_and_shards"),
        figure=RATE,
    ),
    Row(
        id="B6",
        what="NVIDIA DALI",
        command=_bench("test_peers.py", "dali"),
        figure=RATE,
        package="nvidia.dali",
        gpu_part="DALI on the device",
    ),
    Row(
        id="B7",
        what="whole processes: real, user, sys",
        command="perfsuite profile processes --seconds {seconds} --command plain='python -c pass' "
        "--command numpy='python -c \"import numpy\"'",
        figure=r"^(plain|numpy) +[\d.]+ .*",
    ),
    Row(
        id="B8",
        what="what removing a stage can give",
        command=STEP,
        figure=r"^ +(decode|normalize|augment|forward|backward) .*",
    ),
    Row(
        id="B9",
        what="AMP, batch size, accumulation, exports",
        command=CLAIMS,
        figure=r"^\| (bf16|accumulated, \d+ microbatches|torch.export|compiled|64) \| .*",
        gpu_part="fp16 and TensorRT",
    ),
    Row(
        id="C1",
        what="batches per second",
        command=MODES,
        figure=r"(kept|broken|unclear): batches_per_second of [\d.]+/s",
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
        what="augmentation as a share of a batch",
        command=MODES,
        figure=r"overhead_share of [-\d.]+",
    ),
    Row(id="C4", what="the knee", command=MODES, figure=r"^(use|unclear: the turns|0 |\d+ ).*"),
    Row(
        id="C5",
        what="reading against computing",
        command="perfsuite profile loading --data-dir images --augmentation-mode moderate --cold-files "
        "--seconds {rounds}",
        figure=r"(reading a file|computing|cold files).*",
    ),
    Row(
        id="C6",
        what="CSV, folder, settings from a file",
        command="perfsuite sweep --csv images/labels.csv --data-dir images --num-workers 0,2 "
        "--config sweep.toml --seconds {seconds}",
        figure=r"^ *[02] (inline|processes|threads)( \+\d)? +\d.*",
    ),
    Row(
        id="C7",
        what="recommendations",
        command="perfsuite advise --data-dir images --report advice --seconds {seconds}",
        figure=r".*(num_workers|advice/).*",
    ),
    Row(
        id="C8",
        what="expensive and cheap operations",
        command="perfsuite profile transforms --pipeline operations --input-size 512x512 --seconds {rounds}",
        figure=r"^ +(elastic|grid|mirror|rotat|quarter|flip|jitter|color)\S* .*",
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
        command=_bench("test_cache.py", "maps_from_disk"),
        figure=RATE,
    ),
    Row(id="D3", what="shares of a step", command=STEP, figure=r"^ +(loading|forward|decode|backward) .*"),
    Row(id="D4", what="npz reading", command=_bench("test_cache.py", "map_file_formats"), figure=RATE),
    Row(
        id="D5",
        what="decoders, sizes, cached images, persistent workers",
        command=_bench("test_loaders.py", "decoders or output_sizes or reduced"),
        figure=RATE,
    ),
    Row(
        id="D6",
        what="maps drawn from polygons",
        command=_bench("test_cache.py", "maps_from_disk or targets"),
        figure=RATE,
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
        figure=r"^\| torch.compile (trains|predicts) .*",
    ),
    Row(
        id="E3",
        what="AMP",
        command=CLAIMS,
        figure=r"^\| AMP .*",
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
        figure=r"^\| (all|loading, ).*combined.*",
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
        figure=r"^\| (AMP|all combined) halves? the memory .*",
        is_gpu_only=True,
    ),
)


def rows(seconds: int, rounds: int) -> tuple[Row, ...]:
    """Every row; `seconds` for a command, `rounds` seconds for a part of one."""
    return tuple(
        replace(row, command=row.command.replace("{seconds}", str(seconds)).replace("{rounds}", str(rounds)))
        for row in _TEMPLATES
    )
