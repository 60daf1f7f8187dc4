"""Libraries with a format of their own, written into `folder` first; images are shown by torchvision v2.

Only FFCV decodes by itself. What is timed is reading: the bytes in the files are the same.
"""

from __future__ import annotations

import numba  # noqa: F401 - it counts the cores when it is first imported, not while a test keeps to one

from perfsuite.data.sources.shards import write_shards

from .datasets import BATCH, NormalizedBatches, TorchvisionDataset, normalize_batch


def webdataset(files, work, workers, folder):
    import webdataset as web

    shown = TorchvisionDataset(files, work).preprocess
    paths = write_shards(files, folder, per_shard=-(-len(files) // max(1, workers)))
    data = web.WebDataset([str(path) for path in paths], shardshuffle=False)
    return NormalizedBatches(data.to_tuple("jpg", "cls").map_tuple(shown, int), workers)


def litdata(files, work, workers, folder):
    import litdata as lit

    shown = TorchvisionDataset(files, work).preprocess

    lit.optimize(
        RowEncoder(files),
        list(range(len(files))),
        str(folder),
        chunk_bytes="8MB",
        num_workers=1,
        verbose=False,
    )
    return NormalizedBatches(
        _preprocessing_dataset(lit.StreamingDataset, shown)(str(folder)),
        workers,
        loader=lit.StreamingDataLoader,
    )


def _preprocessing_dataset(data_set, shown):
    """A library's own data set that shows the bytes it reads."""

    class Shown(data_set):
        def __getitem__(self, index):
            found = super().__getitem__(index)
            return shown(found["jpeg"]), found["label"]

    return Shown


class RowEncoder:
    """A row as a library stores it; a class, as it is sent to other processes."""

    def __init__(self, files):
        self.files = files

    def __call__(self, row):
        return {"jpeg": self.files.read(row), "label": int(self.files.labels[row])}


def streaming(files, work, workers, folder):
    import streaming as mosaic

    shown = TorchvisionDataset(files, work).preprocess

    sample = RowEncoder(files)
    with mosaic.MDSWriter(out=str(folder), columns={"jpeg": "bytes", "label": "int"}) as out:
        for row in range(len(files)):
            out.write(sample(row))
    data = _preprocessing_dataset(mosaic.StreamingDataset, shown)(
        local=str(folder), batch_size=BATCH, shuffle=False
    )
    return NormalizedBatches(data, workers)


def ffcv(files, work, workers, folder, write_mode="jpg"):
    """Decodes and crops in compiled threads; as raw pixels it is what decoding once is measured against."""
    if work == "moderate":
        raise NotImplementedError("FFCV: turns and scales no images")
    from ffcv.fields.decoders import (
        CenterCropRGBImageDecoder,
        IntDecoder,
        RandomResizedCropRGBImageDecoder,
    )
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor, ToTorchImage

    shown = [CenterCropRGBImageDecoder((224, 224), ratio=224 / 256)]
    if work == "training":
        shown = [RandomResizedCropRGBImageDecoder((224, 224)), RandomHorizontalFlip()]
    path = folder / "images.beton"
    _write_beton(files, path, write_mode)
    loader = Loader(
        str(path),
        batch_size=BATCH,
        num_workers=max(1, workers),
        order=OrderOption.SEQUENTIAL,
        pipelines={
            "image": [*shown, ToTensor(), ToTorchImage(channels_last=False)],
            "label": [IntDecoder(), ToTensor()],
        },
    )
    return _FfcvBatches(loader)


class _FfcvBatches:
    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        for images, labels in self.loader:
            yield normalize_batch(images), labels[:, 0]


def _write_beton(files, path, write_mode):
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    # JPEGs are written anew from pixels: quality 92 gives about the bytes that the files have. Raw pixels are
    # kept at 256 on the shorter side of a 4:3 image, as our cache keeps them.
    longest = 341 if write_mode == "raw" else None
    image = RGBImageField(write_mode=write_mode, max_resolution=longest, jpeg_quality=92)
    fields = {"image": image, "label": IntField()}
    DatasetWriter(str(path), fields, num_workers=1).from_indexed_dataset(_DecodedImages(files))


class _DecodedImages:
    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, row):
        from PIL import Image

        with Image.open(self.files.path(row)) as image:
            return image.convert("RGB"), int(self.files.labels[row])
