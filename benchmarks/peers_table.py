"""Our loaders and today's ways of feeding, in turns: `python benchmarks/peers_table.py > table.md`.

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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import torch
from peers import NOT_ANTIALIASED, PEERS, WORKS

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.files import image_folder
from perfsuite.data.synthetic import dataset

LIBRARIES = (
    *("torch", "torchvision", "pillow", "albumentations", "opencv-python-headless", "simplejpeg"),
    *("webdataset", "litdata", "mosaicml-streaming", "ffcv", "kornia", "nvidia-dali-cuda130", "spdl"),
)


def versions():
    for name in LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def time_pass(batches):
    begun = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - begun


def build_loaders(files, work, workers, folder):
    """Ours and every peer that is here, by name; why the others are not."""
    parts = dict.fromkeys(("train", "val", "test"), files)
    arms = {"ours": make_loaders(parts, 32, workers, WORKS[work], engine="threads").train}
    if work != "moderate":
        arms["ours, cached in RAM"] = make_loaders(
            parts, 32, workers, WORKS[work], engine="threads", cache="ram"
        ).train
    absent = []
    for name, make in PEERS.items():
        place = folder / f"{work}-{name}"
        place.mkdir()
        try:
            arms[name] = make(files, work, workers, place)
        except (ImportError, NotImplementedError) as error:
            absent.append(str(error))
    return arms, absent


def time_rounds(arms, rounds):
    for batches in arms.values():
        time_pass(batches)
    seconds = {name: [] for name in arms}
    for number in range(rounds):
        names = list(arms) if number % 2 == 0 else list(arms)[::-1]
        for name in names:
            seconds[name].append(time_pass(arms[name]))
    return seconds


def print_table(work, images, seconds):
    print(f"\n## {work}\n")
    print("| way | images a second | ours over it | range of the ratios |\n|---|---|---|---|")
    for name, found in seconds.items():
        rate = images / statistics.median(found)
        ratios = [theirs / ours for ours, theirs in zip(seconds["ours"], found, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {rate:.0f} | {statistics.median(ratios):.2f} | {spread} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--cores", type=int, default=1, choices=(1, 2))
    parser.add_argument("--work", nargs="+", default=list(WORKS), choices=list(WORKS))
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    torch.set_num_threads(chosen.cores)
    cv2.setNumThreads(chosen.cores)
    files = image_folder(dataset.cached_dataset(images=chosen.images))
    sizes = [len(files.read(row)) for row in range(len(files))]
    print(f"# Feeding images on {chosen.cores} core{'s' * (chosen.cores > 1)}\n")
    print(f"`{' '.join(['python', *sys.argv])}`: {platform.machine()}, {os.cpu_count()} vCPU, no GPU, Python")
    print(f"{platform.python_version()}, {', '.join(versions())}.")
    print(f"{len(files)} images made here, mean {np.mean(sizes) / 1000:.0f} kB, 224 px out, batches of 32,")
    print(f"float32 normalized; {chosen.rounds} turns each, in alternating order, {chosen.cores} worker(s).")
    print(f"{', '.join(NOT_ANTIALIASED)}: resized without antialiasing, which is less work.")
    for work in chosen.work:
        with tempfile.TemporaryDirectory() as folder:
            arms, absent = build_loaders(files, work, 0 if chosen.cores == 1 else 2, Path(folder))
            print_table(work, len(files), time_rounds(arms, chosen.rounds))
        if absent:
            print(f"\nNot there: {'; '.join(absent)}.")


if __name__ == "__main__":
    main()
