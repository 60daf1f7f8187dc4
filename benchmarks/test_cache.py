"""What keeping things pays: finished images, images already normalized, maps; and what it holds.

Decoded images are raced against peers in test_peers.
"""

from __future__ import annotations

import pytest
import torch

from perfsuite.data.loader import Normalize
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.maps import MapSource, read_map, store_maps
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.transforms import normalize
from perfsuite.transforms.normalization.channel_stats import IMAGENET


@pytest.fixture(scope="module")
def stored_maps(annotated_image_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    store_maps(read_annotations(annotated_image_dir / "annotations.json"), folder)
    return folder


def test_maps_stored_drawn_and_in_memory(perf, annotated_image_dir, stored_maps):
    """Which is fastest is to be seen, so nothing is asserted of it; that none is drawn twice, is."""
    annotations = read_annotations(annotated_image_dir / "annotations.json")
    kinds = {
        "stored": MapSource(stored_maps, annotations),
        "in_memory": MapSource(stored_maps, annotations, in_memory=True),
        "drawn": MapSource(annotations=annotations),
    }
    perf.race(
        **{name: make_loaders(annotated_image_dir, 32, 0, maps=maps).train for name, maps in kinds.items()}
    )
    assert kinds["stored"].drawn_count == kinds["in_memory"].drawn_count == kinds["drawn"].read_count == 0
    images = len(make_loaders(annotated_image_dir, 32, 0).train.source)
    assert kinds["in_memory"].read_count == images


def test_reading_a_map_compressed_and_not(perf, small_image_dir, stored_maps, tmp_path):
    """What a .npz costs over a .npy, by file."""
    store_maps(read_annotations(small_image_dir / "annotations.json"), tmp_path, ".npz")
    kinds = {"npy": sorted(stored_maps.rglob("*.npy")), "npz": sorted(tmp_path.rglob("*.npz"))}
    assert len(kinds["npy"]) == len(kinds["npz"]) == 96

    def reading(paths):
        return lambda: [read_map(path) for path in paths]

    perf.race(items=96, **{kind: reading(paths) for kind, paths in kinds.items()})


def test_augmented_each_time_beforehand_and_not_at_all(perf, small_image_dir):
    """The ways to augment side by side; the finished images of one epoch are those that are shown again."""
    arms = {
        "beforehand": make_loaders(small_image_dir, 32, 0, "moderate", cache="ram", cache_epochs=1).train,
        "each_time": make_loaders(small_image_dir, 32, 0, "moderate").train,
        "each_time_from_decoded": make_loaders(small_image_dir, 32, 0, "moderate", cache="ram").train,
        "not_at_all": make_loaders(small_image_dir, 32, 0, "none").train,
    }
    for loader in arms.values():
        for _ in loader:
            pass  # the epoch in which a cache fills
    perf.race(**arms)


@pytest.mark.ceiling(overhead=0.3)
def test_targets_that_follow(perf, annotated_image_dir):
    labeled = make_loaders(annotated_image_dir, 32, 0, "moderate")
    annotated = make_loaders(
        annotated_image_dir, 32, 0, "moderate", annotations=annotated_image_dir / "annotations.json"
    )
    perf.pair(labels=labeled.train, targets=annotated.train)


def test_images_normalized_once_and_kept_as_floats(perf, small_image_dir):
    """Four times the memory; whether it pays is to be seen. Not what `cache` does."""
    kept = Normalize(dtype=torch.uint8, memory_format=torch.contiguous_format)
    loader = make_loaders(small_image_dir, 32, 0, "none", val_fraction=0.8, cache="ram", normalize=kept).val
    as_bytes = torch.cat([images for images, _ in loader])
    as_floats = normalize(as_bytes, mean=IMAGENET.mean, std=IMAGENET.std)
    assert as_floats.nbytes == 4 * as_bytes.nbytes
    rows = torch.randperm(len(as_bytes), generator=torch.Generator().manual_seed(42))[:32]
    perf.race(
        items=len(rows),
        kept_as_bytes=lambda: normalize(as_bytes[rows], mean=IMAGENET.mean, std=IMAGENET.std),
        kept_as_floats=lambda: as_floats[rows],
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than cores: on purpose
@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_eight_workers_share_one_cache(image_dir, engine):
    """Requirement: the process tree at 8 workers holds at most 1.5 times what it holds at 1."""

    def peak(workers):
        loaders = make_loaders(
            image_dir, 16, workers, cache="ram", engine=engine, start_method="fork", val_fraction=0
        )
        try:
            return measure_peak_memory(lambda: [None for _ in range(2) for _ in loaders.train]).peak_rss_bytes
        finally:
            loaders.close()

    one, eight = peak(1), peak(8)
    assert eight <= 1.5 * one, f"{one / 2**20:,.0f} MiB with 1 worker, {eight / 2**20:,.0f} with 8"
