"""The identity of a run's training data: settings that decide every batch, and digests of the images.

It is cheap: it lists names, labels and file sizes, and reads a few images. It never draws a random number.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from perfsuite.data.fast_image_folder import FastImageFolder
from perfsuite.data.image_config import ImageConfig
from perfsuite.data.loader import Loader
from perfsuite.data.sources.base import ImageSource, Subset, spaced_rows
from perfsuite.transforms.augment.modes import get_mode

Identity = dict[str, Any]  # text, numbers, lists of them, or None, by name

MAX_FILE_SIZES = 20_000  # files whose size is read, evenly spaced: 20 ms on a local disk
MAX_CONTENTS = 16  # images or batches that are read, evenly spaced
MAX_TENSOR_ELEMENTS = 1 << 16  # of each tensor, evenly spaced
SAMPLER_FIELDS = ("indices", "weights")  # of torch's SubsetRandomSampler and WeightedRandomSampler


@runtime_checkable
class IdentifiedLoader(Protocol):
    """A loader or Dataset that describes itself: plain values that must agree for a run to be resumed."""

    def identity(self) -> Mapping[str, Any]: ...


def identify_loader(loader: Any) -> Identity:
    """Describe a loader of any kind; what is unknown of a kind is left out.

    >>> identify_loader([(torch.zeros(2, 3), torch.tensor([0, 1]))])["batches"]
    1
    """
    if isinstance(loader, IdentifiedLoader):
        return dict(loader.identity())
    if isinstance(loader, Loader):
        return _identify_perfsuite_loader(loader)
    if isinstance(loader, DataLoader):
        return _identify_data_loader(loader)
    batches = {"batches": len(loader), "batch_size": getattr(loader, "batch_size", None)}
    if isinstance(loader, Sequence):
        return batches | {"contents": _digest(_batch_bytes(loader))}
    return batches


def digest_tensors(*tensors: Tensor) -> str:
    """Digest the shapes, the types and evenly spaced elements of tensors."""
    return _digest(map(_tensor_bytes, tensors))


def _identify_perfsuite_loader(loader: Loader) -> Identity:
    order = loader.order
    return {
        "batches": len(loader),
        "batch_size": order.batch_size,
        "shuffle": order.shuffle,
        "drop_last": order.drop_last,
        "loader_seed": order.seed,
        "uneven": order.uneven,
        **({"sampler": None} if order.sampler is None else _identify_sampler(order.sampler.sampler)),
        "loader_mean": list(loader.normalization.mean),
        "loader_std": list(loader.normalization.std),
        **_identify_image_config(loader.image_config),
        "cached_epochs": getattr(loader.source, "epochs", None),
        **_identify_source(loader.source),
    }


def _identify_data_loader(loader: DataLoader[Any]) -> Identity:
    return {
        "batches": len(loader),
        "batch_size": loader.batch_size,
        "drop_last": loader.drop_last,
        **_identify_sampler(loader.sampler),
        **_identify_dataset(loader.dataset),
    }


def _identify_sampler(sampler: Any) -> Identity:
    """Its class, and the rows or weights that it holds. It is not iterated, because that may draw numbers."""
    identity: Identity = {"sampler": type(sampler).__name__}
    is_list = isinstance(sampler, Sequence)
    held = [sampler] if is_list else [getattr(sampler, name, None) for name in SAMPLER_FIELDS]
    arrays = [np.asarray(values) for values in held if values is not None]
    parts = [array.tobytes() for array in arrays if array.dtype != object]
    return identity | {"sampler_contents": _digest(parts)} if parts else identity


def _identify_dataset(dataset: Any) -> Identity:
    if isinstance(dataset, IdentifiedLoader):
        return dict(dataset.identity())
    if isinstance(dataset, FastImageFolder):
        return _identify_image_config(dataset.image_config) | _identify_source(dataset.source)
    identity: Identity = {"dataset": type(dataset).__name__}
    if hasattr(dataset, "__len__"):
        identity["images"] = len(dataset)
    if isinstance(dataset, torch.utils.data.Subset):
        rows = np.asarray(dataset.indices, np.int64).tobytes()
        return identity | {"rows": _digest([rows])} | _identify_dataset(dataset.dataset)
    tensors = getattr(dataset, "tensors", None)  # a TensorDataset
    if isinstance(tensors, Sequence):
        identity["contents"] = digest_tensors(*tensors)
    samples = getattr(dataset, "samples", None)  # torchvision's ImageFolder
    if isinstance(samples, Sequence):
        identity |= _identify_samples(samples, str(getattr(dataset, "root", "")))
    transform = repr(getattr(dataset, "transform", None))
    if " at 0x" not in transform:  # an address differs in every process
        identity["transform"] = transform
    return identity


def _identify_samples(samples: Sequence[Any], root: str) -> Identity:
    paths = [(os.fspath(path), label) for path, label in samples]
    chosen = [paths[row][0] for row in spaced_rows(len(paths), MAX_FILE_SIZES)]
    return {
        "image_names": _digest(os.fsencode(os.path.relpath(path, root)) for path, _ in paths),
        "image_labels": _digest([json.dumps([label for _, label in paths], default=str).encode()]),
        "image_sizes": _digest(map(_size_bytes, chosen)),
    }


def _identify_image_config(config: ImageConfig) -> Identity:
    mode = get_mode(config.mode)
    return {
        "loader_image_size": config.size,
        "crop": config.crop,
        "augmentation_mode": mode.name,
        "augmentation": repr(mode.operations),
        "augmentation_seed": config.seed,
        "on_error": config.on_error,
        "refill": config.refill,
        "decoder": config.decoder,
        "scaled_decode": config.scaled_decode,
    }


def _identify_source(source: ImageSource) -> Identity:
    names = [source.name(row) for row in range(len(source))]
    sizes = (_row_size_bytes(source, row) for row in spaced_rows(len(source), MAX_FILE_SIZES))
    contents = (_read_bytes(source, row) for row in spaced_rows(len(source), MAX_CONTENTS))
    return {
        "images": len(source),
        "image_names": _digest(name.encode("utf-8", "surrogateescape") for name in names),
        "image_labels": _digest([np.asarray(source.labels, np.int64).tobytes()]),
        "image_sizes": _digest(sizes),
        "contents": _digest(contents),
    }


def _row_size_bytes(source: ImageSource, row: int) -> bytes:
    """Return the size of a row's file; nothing for sources that are not files."""
    if isinstance(source, Subset):
        return _row_size_bytes(source.source, int(source.rows[row]))
    path = getattr(source, "path", None)
    return _size_bytes(path(row)) if callable(path) else b""


def _size_bytes(path: Any) -> bytes:
    try:
        return str(os.stat(path).st_size).encode()  # noqa: PTH116 - a Path per file is slow
    except (OSError, ValueError):  # reading it fails too, and reports the error
        return b"unreadable"


def _read_bytes(source: ImageSource, row: int) -> bytes:
    try:
        return source.read(row)
    except Exception as error:  # the loader reads it again, and reports the error by its own policy
        return type(error).__name__.encode()


def _batch_bytes(batches: Sequence[Any]) -> Iterable[bytes]:
    for index in spaced_rows(len(batches), MAX_CONTENTS):
        for part in batches[index] if isinstance(batches[index], tuple | list) else ():
            if isinstance(part, Tensor):
                yield _tensor_bytes(part)


def _tensor_bytes(tensor: Tensor) -> bytes:
    values = tensor.detach().flatten()
    spaced = values[:: max(1, len(values) // MAX_TENSOR_ELEMENTS)].cpu().contiguous()
    return repr((tuple(tensor.shape), tensor.dtype)).encode() + spaced.view(torch.uint8).numpy().tobytes()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
