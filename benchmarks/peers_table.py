"""Print a table of our loaders and their peers: `python -m benchmarks.peers_table > table.md`.

Each turn is one pass over the images, in alternating order; a ratio is the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.peers.base import AUGMENTATION_MODES, LabeledBatches, Task
from benchmarks.peers.registry import PEERS
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import FileSource, image_folder
from perfsuite.data.synthetic import dataset
from perfsuite.report.markdown_table import markdown_table

LIBRARIES = (
    *("torch", "torchvision", "pillow", "albumentations", "opencv-python-headless", "simplejpeg"),
    *("webdataset", "litdata", "mosaicml-streaming", "ffcv", "kornia", "nvidia-dali-cuda130", "spdl"),
)


def installed_versions() -> Iterator[str]:
    for name in LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def time_pass(batches: LabeledBatches) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def build_loaders(
    files: FileSource, task: Task, num_workers: int, folder: Path
) -> tuple[dict[str, LabeledBatches], list[str]]:
    """Our loaders and every installed peer, by name; and why others are missing."""
    mode = AUGMENTATION_MODES[task]
    splits = dict.fromkeys(("train", "val", "test"), files)
    loaders: dict[str, LabeledBatches] = {
        "ours": make_loaders(splits, 32, num_workers, mode, engine="threads").train
    }
    if task != "moderate":
        cached = make_loaders(splits, 32, num_workers, mode, engine="threads", cache="ram")
        loaders["ours, cached in RAM"] = cached.train
    missing = []
    for name, peer in PEERS.items():
        peer_folder = folder / f"{task}-{name}"
        peer_folder.mkdir()
        try:
            loaders[name] = peer.make(files, task, num_workers, peer_folder)
        except (ImportError, NotImplementedError) as error:
            missing.append(str(error))
    return loaders, missing


def time_rounds(loaders: dict[str, LabeledBatches], rounds: int) -> dict[str, list[float]]:
    for batches in loaders.values():
        time_pass(batches)
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for number in range(rounds):
        names = list(loaders) if number % 2 == 0 else list(loaders)[::-1]
        for name in names:
            seconds[name].append(time_pass(loaders[name]))
    return seconds


def print_table(task: Task, images: int, seconds: dict[str, list[float]]) -> None:
    print(f"\n## {task}\n")
    rows = []
    for name, times in seconds.items():
        rate = images / statistics.median(times)
        ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], times, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        rows.append((name, f"{rate:.0f}", f"{statistics.median(ratios):.2f}", spread))
    columns = ("library", "images a second", "ours over it", "range of the ratios")
    print(markdown_table(columns, rows), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--cores", type=int, default=1, choices=(1, 2))
    parser.add_argument(
        "--task", nargs="+", default=list(AUGMENTATION_MODES), choices=list(AUGMENTATION_MODES)
    )
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    torch.set_num_threads(arguments.cores)
    cv2.setNumThreads(arguments.cores)
    files = image_folder(dataset.cached_dataset(images=arguments.images))
    sizes = [len(files.read(row)) for row in range(len(files))]
    print(f"# Loading images on {arguments.cores} core{'s' * (arguments.cores > 1)}\n")
    print(f"`{' '.join(['python', *sys.argv])}`: {platform.machine()}, {os.cpu_count()} vCPU, no GPU, Python")
    print(f"{platform.python_version()}, {', '.join(installed_versions())}.")
    print(f"{len(files)} generated images, mean {np.mean(sizes) / 1000:.0f} kB, 224 px out, batches of 32,")
    print(f"float32 normalized; {arguments.rounds} turns each, alternating, {arguments.cores} worker(s).")
    no_antialiasing = [peer.name for peer in PEERS.values() if not peer.is_antialiased]
    print(f"{', '.join(no_antialiasing)}: resized without antialiasing, which is less work.")
    for task in arguments.task:
        with tempfile.TemporaryDirectory() as folder:
            loaders, missing = build_loaders(files, task, 0 if arguments.cores == 1 else 2, Path(folder))
            print_table(task, len(files), time_rounds(loaders, arguments.rounds))
        if missing:
            print(f"\nNot measured: {'; '.join(missing)}.")


if __name__ == "__main__":
    main()
