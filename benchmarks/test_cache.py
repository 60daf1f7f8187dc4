"""Caches: augmented images, normalized images and maps, and the memory that they take.

test_peers.py compares the cache of decoded images with other libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.map_files import read_map
from perfsuite.data.sources.maps import MapSource, store_maps
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.pytest_plugin.fixture import Perf


@pytest.fixture(scope="module")
def stored_maps(annotated_image_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    store_maps(read_annotations(annotated_image_dir / "annotations.json"), folder)
    return folder


def test_maps_from_disk_from_memory_and_drawn(
    perf: Perf, annotated_image_dir: Path, stored_maps: Path
) -> None:
    """Reports which is fastest and asserts only that stored maps are not drawn again."""
    annotations = read_annotations(annotated_image_dir / "annotations.json")
    kinds: dict[str, Any] = {
        "stored": MapSource(stored_maps, annotations),
        "in_memory": MapSource(stored_maps, annotations, in_memory=True),
        "drawn": MapSource(annotations=annotations),
    }
    loader_of: dict[str, Any] = {
        name: make_loaders(annotated_image_dir, 32, 0, maps=maps).train for name, maps in kinds.items()
    }
    perf.race(**loader_of)
    counts = {name: loader.map_counts for name, loader in loader_of.items()}
    assert counts["stored"].drawn == counts["in_memory"].drawn == counts["drawn"].stored == 0
    images = len(make_loaders(annotated_image_dir, 32, 0).train.source)
    assert counts["in_memory"].stored == images


def test_map_file_formats(perf: Perf, small_image_dir: Path, stored_maps: Path, tmp_path: Path) -> None:
    """The cost of a compressed .npz beside an .npy, per file."""
    store_maps(read_annotations(small_image_dir / "annotations.json"), tmp_path, ".npz")
    kinds: dict[str, Any] = {
        "npy": sorted(stored_maps.rglob("*.npy")),
        "npz": sorted(tmp_path.rglob("*.npz")),
    }
    assert len(kinds["npy"]) == len(kinds["npz"]) == 96

    def read_all(paths: Sequence[Path]) -> Callable[[], object]:
        return lambda: [read_map(path) for path in paths]

    calls: dict[str, Any] = {kind: read_all(paths) for kind, paths in kinds.items()}
    perf.race(items=96, **calls)


def test_when_to_augment(perf: Perf, small_image_dir: Path) -> None:
    """Augment in every epoch, once beforehand (then every epoch repeats those images), or never."""
    loaders: dict[str, Any] = {
        "beforehand": make_loaders(small_image_dir, 32, 0, "moderate", cache="ram", cache_epochs=1).train,
        "every_epoch": make_loaders(small_image_dir, 32, 0, "moderate").train,
        "every_epoch_from_decoded": make_loaders(small_image_dir, 32, 0, "moderate", cache="ram").train,
        "never": make_loaders(small_image_dir, 32, 0, "none").train,
    }
    for loader in loaders.values():
        for _ in loader:
            pass  # this epoch fills the cache
    perf.race(**loaders)


@pytest.mark.ceiling(overhead=0.6)
@pytest.mark.aim(overhead=0.3)
def test_targets_overhead(perf: Perf, annotated_image_dir: Path) -> None:
    labeled = make_loaders(annotated_image_dir, 32, 0, "moderate")
    annotated = make_loaders(
        annotated_image_dir, 32, 0, "moderate", annotations=annotated_image_dir / "annotations.json"
    )
    perf.pair(labels=labeled.train, targets=annotated.train)


def test_normalizing_once_in_the_cache(perf: Perf, small_image_dir: Path) -> None:
    """Floats take four times the memory of bytes. Reports which is faster."""
    loaders: dict[str, Any] = {
        name: make_loaders(small_image_dir, 32, 0, "none", cache="ram", cache_normalized=is_normalized).train
        for name, is_normalized in (("stored_as_bytes", False), ("stored_as_floats", True))
    }
    for loader in loaders.values():
        for _ in loader:
            pass  # this epoch fills the cache
    perf.race(**loaders)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_eight_workers_share_one_cache(image_dir: Path, engine: str) -> None:
    """The process tree takes at most 1.5 times as much memory with 8 workers as with 1."""

    def peak_bytes(workers: int) -> int:
        loaders = make_loaders(
            image_dir, 16, workers, cache="ram", engine=engine, start_method="fork", val_fraction=0
        )
        try:
            peaks = measure_peak_memory(lambda: [None for _ in range(2) for _ in loaders.train])
            assert peaks.peak_pss_bytes is not None
            return peaks.peak_pss_bytes
        finally:
            loaders.close()

    one, eight = peak_bytes(1), peak_bytes(8)
    assert eight <= 1.5 * one, f"{one / 2**20:,.0f} MiB with 1 worker, {eight / 2**20:,.0f} with 8"
