"""Our loaders and today's ways of feeding, in turns: `python benchmarks/loaders_table.py > table.md`.

Each turn is one pass over the pictures, in alternating order; a ratio is the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version

import cv2
import numpy as np
import peers
import torch

from perfsuite.data import photos
from perfsuite.data.cache import ram_cache
from perfsuite.data.loaders import make_loaders
from perfsuite.data.pictures import Recipe
from perfsuite.data.sets import image_folder

NAMED = ("torch", "torchvision", "pillow", "albumentations", "opencv-python-headless", "simplejpeg")
MODES = {"validation": "none", "training": None, "moderate": "moderate"}


def seconds_of(batches):
    begun = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - begun


def arms_of(files, work, workers):
    parts = dict.fromkeys(("train", "val", "test"), files)
    ours = {"ours": make_loaders(parts, 32, workers, MODES[work]).train}
    if work != "moderate":
        kept = ram_cache(files, Recipe(crop="centre" if work == "validation" else "random"))
        cached = dict.fromkeys(("train", "val", "test"), kept)
        ours["ours, cached in RAM"] = make_loaders(cached, 32, workers, MODES[work]).train
        ours["pillow"] = peers.reference(files, work, workers)
    return ours | peers.peers(files, work, workers)


def race(arms, rounds):
    for batches in arms.values():
        seconds_of(batches)
    seconds = {name: [] for name in arms}
    for number in range(rounds):
        names = list(arms) if number % 2 == 0 else list(arms)[::-1]
        for name in names:
            seconds[name].append(seconds_of(arms[name]))
    return seconds


def table(work, images, seconds):
    print(f"\n## {work}\n")
    print("| way | pictures a second | ours over it | range of the ratios |\n|---|---|---|---|")
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
    parser.add_argument("--work", nargs="+", default=list(MODES), choices=list(MODES))
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    torch.set_num_threads(chosen.cores)
    cv2.setNumThreads(chosen.cores)
    files = image_folder(photos.cached(images=chosen.images))
    sizes = [len(files.read(row)) for row in range(len(files))]
    print(f"# Feeding pictures on {chosen.cores} core{'s' * (chosen.cores > 1)}\n")
    print(f"`{' '.join(['python', *sys.argv])}`: {platform.machine()}, {os.cpu_count()} vCPU, no GPU, Python")
    print(f"{platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in NAMED)}.")
    print(f"{len(files)} pictures made here, mean {np.mean(sizes) / 1000:.0f} kB, 224 px out, batches of 32,")
    print(f"float32 normalised; {chosen.rounds} turns each, in alternating order, {chosen.cores} worker(s).")
    print("OpenCV and simplejpeg resize without antialiasing, which is less work; the others antialias.")
    for work in chosen.work:
        arms = arms_of(files, work, 0 if chosen.cores == 1 else 2)
        table(work, len(files), race(arms, chosen.rounds))


if __name__ == "__main__":
    main()
