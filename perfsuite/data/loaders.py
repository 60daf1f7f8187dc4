"""`make_loaders`: from a folder of images to batches for training, validation and test.

>>> from perfsuite.data.synthetic import dataset
>>> folder = dataset.cached_dataset(images=40, classes=2, size=(64, 48))
>>> train_loader, val_loader, test_loader, class_names, info = make_loaders(folder, 8, 0, image_size=32)
>>> images, labels = next(iter(val_loader))
>>> images.shape, images.dtype, class_names, info["samples"]
(torch.Size([4, 3, 32, 32]), torch.float32, ('class_00', 'class_01'), {'train': 32, 'val': 4, 'test': 4})
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from perfsuite.cores import usable_cores
from perfsuite.data.augmentation_mode import training_config
from perfsuite.data.cache.cached_source import cache_splits
from perfsuite.data.cache.normalized import NormalizedCacheEngine, check_normalized_cache
from perfsuite.data.devices import parse_device
from perfsuite.data.engines.base import DEFAULT_TIMEOUT_SECONDS, WorkerConfig
from perfsuite.data.engines.device_prefetch import DevicePrefetcher
from perfsuite.data.engines.registry import make_engine
from perfsuite.data.faults import FaultPolicy
from perfsuite.data.image_config import Crop, ImageConfig
from perfsuite.data.loader import Loader, Normalize
from perfsuite.data.loader_options import LoaderOptions, check_arguments, resolve_rank
from perfsuite.data.order import Sampler, UnevenPolicy
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.annotations import Annotations
from perfsuite.data.sources.base import ImageSource
from perfsuite.data.sources.maps import MapSource
from perfsuite.data.sources.splits import SPLITS, Split, class_weights, read_splits, split_source
from perfsuite.data.speed_settings import SpeedSettings, read_speed_settings
from perfsuite.data.synthetic.dataset import cached_dataset
from perfsuite.data.targets import TargetBuilder
from perfsuite.transforms import AugmentationMode
from perfsuite.transforms.augment.modes import MIRROR, get_mode

# Both, because a Mapping is invariant in its keys.
SourcesBySplit = Mapping[str, ImageSource] | Mapping[Split, ImageSource]


@dataclass(frozen=True, slots=True)
class Loaders:
    """The result of `make_loaders`; it unpacks into its five fields.

    `info` has `samples` by split, `class_weights`, `num_workers`, `engine`, `decoder`, `seed`, and with maps
    `maps`: how many are `stored`, and how many `drawn` as they are needed.
    """

    train: Loader
    val: Loader
    test: Loader
    class_names: tuple[str, ...]
    info: Mapping[str, Any]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.train, self.val, self.test, self.class_names, self.info))

    def __repr__(self) -> str:
        loaders = ", ".join(f"{split}={loader!r}" for split, loader in zip(SPLITS, self, strict=False))
        return f"Loaders({loaders}, {len(self.class_names)} classes)"

    def close(self) -> None:
        """Stop the workers of all three loaders."""
        for loader in (self.train, self.val, self.test):
            loader.close()


def make_loaders(
    data_dir: str | Path | SourcesBySplit | None = None,
    batch_size: int | None = None,
    num_workers: int | None = None,
    augmentation_mode: str | AugmentationMode = MIRROR.name,
    image_size: int = 224,
    seed: int = 42,
    *,
    val_fraction: float = 0.1,
    test_fraction: float = 0.1,
    train_crop: Crop = "random",
    val_crop: Crop = "center",
    on_error: FaultPolicy = "raise",
    engine: str | None = None,
    prefetch_factor: int | None = None,
    pin_memory: bool | None = None,
    persistent_workers: bool = True,
    sampler: Sampler | None = None,
    start_method: str | None = None,
    normalize: Normalize | None = None,
    drop_last: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    uneven: UnevenPolicy = "pad",
    decoder: str | None = None,
    scaled_decode: bool = False,
    cache: Literal["ram", "disk"] | None = None,
    cache_epochs: int = 0,
    cache_normalized: bool = False,
    device: str | torch.device = "cpu",
    cores: Sequence[int] = (),
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    annotations: str | Path | Annotations | None = None,
    maps: str | Path | MapSource | None = None,
    keypoint_flip_pairs: Sequence[tuple[int, int]] | None = None,
    settings: str | Path | SpeedSettings | None = None,
) -> Loaders:
    """Make loaders for a folder of class folders (or of train, val and test), or for given sources.

    Without `data_dir`, for generated images, which are made once in the user's cache.

    With `annotations` (perfsuite's format or COCO's) the images are the annotated ones under `data_dir`, and
    labels are targets whose boxes, polygons and keypoints follow the images' crops and augmentation. Label
    maps are read from the folder `maps`; missing ones are drawn from the annotations. A mirror exchanges left
    and right keypoints: by their names in the file, or by the pairs of indices in `keypoint_flip_pairs`.

    With `augmentation_mode` "mirror", the default, training crops at random and mirrors. "conservative",
    "moderate" and "aggressive" add their operations to the crop. "none" uses the center crop, the same in
    every epoch. Validation and test are never augmented.

    `scaled_decode` decodes a JPEG at a fraction of its size if that leaves twice the size after the resize:
    faster, with slightly different pixels. `cache` stores decoded images in memory or in a file, as many as
    fit (more options: perfsuite.data.cache.cached_source). With `cache_epochs` it stores the augmented
    training images of that many epochs, and repeats these. `cache_normalized` stores normalized images
    instead, in four times the memory; docs/loaders.md says why not to. With a `device`, batches are copied
    there ahead of time and normalized there. `cores` pins the workers to these cores in turn. Workers that
    give no result for `timeout` seconds while the caller waits are an error that names their images (0: no
    limit).

    `pin_memory` (by default with a GPU; without one it has no effect) puts batches into page-locked memory.
    `sampler` yields the training rows, before they are shared among ranks. Workers outlive an epoch unless
    `persistent_workers` is False.

    `settings` are those of `perfsuite advise`, as a file or a value: `batch_size` (32 by default),
    `num_workers` (by the cores), `engine` ("auto"), `prefetch_factor` (2) and `decoder` ("auto"). Arguments
    win over them.
    """
    speed = _read_settings(settings).overridden_by(
        batch_size=batch_size,
        num_workers=num_workers,
        engine=engine,
        prefetch_factor=prefetch_factor,
        decoder=decoder,
    )
    batch_size = 32 if speed.batch_size is None else speed.batch_size
    prefetch_factor = 2 if speed.prefetch_factor is None else speed.prefetch_factor
    workers = default_num_workers() if speed.num_workers is None else speed.num_workers
    check_arguments(
        batch_size=batch_size,
        num_workers=workers,
        image_size=image_size,
        seed=seed,
        prefetch_factor=prefetch_factor,
    )
    target_device = parse_device(device)
    labels = read_annotations(annotations) if isinstance(annotations, str | Path) else annotations
    image_config = ImageConfig(
        size=image_size,
        crop=val_crop,
        seed=seed,
        on_error=on_error,
        decoder=speed.decoder or "auto",
        scaled_decode=scaled_decode,
        with_geometry=labels is not None,
        maps=MapSource(maps, labels) if isinstance(maps, str | Path) else maps,
    )
    image_configs: dict[Split, ImageConfig] = dict.fromkeys(SPLITS, image_config)
    image_configs["train"] = training_config(image_config, augmentation_mode, train_crop)
    pinned = torch.cuda.is_available() and pin_memory is not False
    own_rank, all_ranks = resolve_rank(rank, world_size)
    options = LoaderOptions(
        batch_size=batch_size,
        seed=seed,
        engine=speed.engine or "auto",
        workers=WorkerConfig(
            num_workers=workers,
            prefetch_factor=prefetch_factor,
            pin_memory=pinned,
            start_method=start_method,
            cores=tuple(cores),
            timeout=timeout,
        ),
        device=target_device,
        normalize=replace(normalize or Normalize(), pin_memory=pinned and target_device.type == "cpu"),
        persistent_workers=persistent_workers,
        drop_last=drop_last,
        rank=own_rank,
        world_size=all_ranks,
        uneven=uneven,
        sampler=sampler,
        cache_normalized=cache_normalized,
    )
    sources = _open_splits(data_dir, labels, val_fraction, test_fraction)
    if cache_epochs and cache is None:
        raise ValueError(f"cache_epochs: {cache_epochs} without a cache, expected cache='ram' or 'disk' too")
    if cache_normalized:
        check_normalized_cache(cache, cache_epochs, image_configs["train"], target_device)
    elif cache is not None:
        sources = cache_splits(cache, sources, image_configs, cache_epochs)
    targets = None if labels is None else TargetBuilder(labels, image_size, keypoint_flip_pairs)
    if targets is not None and get_mode(image_configs["train"].mode).may_mirror:
        targets.check_flip_orders()
    loaders = {
        split: _make_loader(split, sources[split], image_configs[split], options, targets) for split in SPLITS
    }
    return Loaders(
        train=loaders["train"],
        val=loaders["val"],
        test=loaders["test"],
        class_names=tuple(sources["train"].class_names if labels is None else labels.class_names),
        info=_describe(sources, image_config, options, has_targets=labels is not None),
    )


def _read_settings(settings: str | Path | SpeedSettings | None) -> SpeedSettings:
    if settings is None:
        return SpeedSettings()
    return settings if isinstance(settings, SpeedSettings) else read_speed_settings(settings)


def _make_loader(
    split: Split,
    source: ImageSource,
    image_config: ImageConfig,
    options: LoaderOptions,
    targets: TargetBuilder | None,
) -> Loader:
    order = options.order(split, source)
    engine = make_engine(options.engine, source, image_config, options.workers, options.device)
    if options.cache_normalized:
        engine = NormalizedCacheEngine(engine, source, image_config, options.normalize)
    if options.device.type != "cpu":
        engine = DevicePrefetcher(engine, image_config.batch_layout, options.device)
    return Loader(
        source=source,
        order=order,
        image_config=image_config,
        engine=engine,
        normalize=options.normalize,
        targets=targets,
        persistent_workers=options.persistent_workers,
        num_workers=options.workers.num_workers,
    )


def _describe(
    sources: Mapping[Split, ImageSource], image_config: ImageConfig, options: LoaderOptions, has_targets: bool
) -> dict[str, Any]:
    num_workers, maps = options.workers.num_workers, image_config.maps
    info: dict[str, Any] = {
        "samples": {split: len(sources[split]) for split in SPLITS},
        "class_weights": None if has_targets else class_weights(sources["train"]).tolist(),
        "num_workers": num_workers,
        "engine": options.engine if num_workers else "inline",
        "decoder": image_config.decoder,
        "seed": options.seed,
    }
    if maps is not None:
        info["maps"] = {"stored": maps.stored_count, "drawn": maps.drawn_count}
    return info


def default_num_workers() -> int:
    """One worker per core that this process may use, at most 8."""
    return min(8, usable_cores())


def _open_splits(
    data_dir: str | Path | SourcesBySplit | None, labels: Annotations | None, val: float, test: float
) -> dict[Split, ImageSource]:
    if data_dir is None:
        if labels is not None:
            raise ValueError("data_dir: not given, expected the folder of the annotated images")
        data_dir = cached_dataset()
    if isinstance(data_dir, Mapping):
        sources = {split: source for split in SPLITS for name, source in data_dir.items() if name == split}
        if missing := [split for split in SPLITS if split not in sources]:
            raise ValueError(f"data_dir: no source for {missing[0]!r}, expected train, val and test")
        return sources
    if labels is not None:
        return split_source(labels.as_source(data_dir), val, test)
    return read_splits(data_dir, val, test)
