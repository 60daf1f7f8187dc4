"""A cache of loaded models, by path and version of the file."""

from __future__ import annotations

import os
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import torch

from perfsuite.errors import DataError
from perfsuite.training.inference.predict import Predictor


@dataclass(frozen=True, slots=True)
class _CachedModel:
    file_identity: tuple[int, ...]
    predictor: Future[Predictor]


class ModelCache:
    """The most recently used models, by path: each is loaded once, and again when its file has changed.

    Threads that request a model while it is being loaded share that load.
    """

    def __init__(
        self, max_models: int = 4, device: torch.device | str = "cpu", compile_mode: str = "off"
    ) -> None:
        if max_models < 1:
            raise ValueError(f"model cache: max_models is {max_models}, expected 1 or more")
        self.max_models = max_models
        self.device = device
        self.compile_mode = compile_mode
        self.load_count = 0
        self._models: OrderedDict[str, _CachedModel] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._models)

    def get(self, path: str | Path) -> Predictor:
        """Return the model at `path`; a cached one opens no file and copies nothing."""
        key = os.path.realpath(path)
        identity = _file_identity(path)
        with self._lock:
            cached = self._models.get(key)
            must_load = cached is None or cached.file_identity != identity
            if cached is None or must_load:
                cached = self._models[key] = _CachedModel(identity, Future())
                self.load_count += 1
            self._models.move_to_end(key)
            while len(self._models) > self.max_models:
                self._models.popitem(last=False)
        if must_load:
            self._load(key, path, cached)
        return cached.predictor.result()

    def _load(self, key: str, path: str | Path, cached: _CachedModel) -> None:
        try:
            cached.predictor.set_result(Predictor.load(path, self.device, self.compile_mode))
        except BaseException as error:
            with self._lock:
                if self._models.get(key) is cached:
                    del self._models[key]
            cached.predictor.set_exception(error)


def _file_identity(path: str | Path) -> tuple[int, ...]:
    """Return what changes with the file: a rename over it changes the inode, a write into it the times."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise DataError(
            f"{path}: no such checkpoint ({error.strerror}), expected one that perfsuite train wrote; "
            f"`perfsuite train --model-path {path}` makes one"
        ) from error
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
