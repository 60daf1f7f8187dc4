"""Libraries that are a pipeline of their own."""

from __future__ import annotations

import math
import time

import torch

from perfsuite.data.decoding.jpeg_header import read_jpeg_header

from .datasets import BATCH, MEAN, STD, NormalizedBatches, PeerDataset, TorchvisionDataset, normalize_batch

GRAY = 128.0


def kornia(files, work, workers, folder):
    """Crops by torchvision image by image; everything else by kornia, a batch at a time."""
    if work == "validation":
        raise NotImplementedError("kornia: nothing is left for it to do")
    import kornia.augmentation as k

    steps = [k.RandomHorizontalFlip(p=0.5)]
    if work == "moderate":
        steps += [
            k.RandomAffine(degrees=15, scale=(0.9, 1.1), p=1.0),
            k.ColorJiggle(0.2, 0.2, 0.2, 0.0, p=1.0),
        ]
    steps += [k.Normalize((MEAN / 255).flatten(), (STD / 255).flatten())]
    augment = k.AugmentationSequential(*steps, data_keys=["input"])
    return NormalizedBatches(
        UnmirroredCrops(files, "training"), workers, finish=lambda images: augment(images.float() / 255)
    )


class UnmirroredCrops(TorchvisionDataset):
    """Random crops that are not mirrored: kornia does that."""

    def draw_parameters(self):
        return False, *super().draw_parameters()[1:]


def dali(files, work, workers, folder, on_gpu=False):
    """Its own threads; on a GPU decoding by nvJPEG, and everything after it there."""
    from nvidia.dali import fn, pipeline_def, types

    decoder, device_id = ("mixed", 0) if on_gpu else ("cpu", None)

    paths = [str(files.path(row)) for row in range(len(files))]
    labels = [int(label) for label in files.labels]

    @pipeline_def(batch_size=BATCH, num_threads=max(1, workers), device_id=device_id, seed=1)
    def images():
        data, label = fn.readers.file(files=paths, labels=labels)
        if work == "validation":
            image = fn.decoders.image(data, device=decoder)
            image = fn.resize(image, resize_shorter=256, interp_type=types.INTERP_LINEAR, antialias=True)
            mirror = 0
        else:
            image = fn.decoders.image_random_crop(
                data, device=decoder, random_area=(0.08, 1.0), random_aspect_ratio=(3 / 4, 4 / 3)
            )
            image = fn.resize(image, size=(224, 224), interp_type=types.INTERP_LINEAR, antialias=True)
            mirror = fn.random.coin_flip()
        if work == "moderate":
            image = fn.rotate(
                image, angle=fn.random.uniform(range=(-15.0, 15.0)), keep_size=True, fill_value=GRAY
            )
            numbers = {
                name: fn.random.uniform(range=(0.8, 1.2)) for name in ("brightness", "contrast", "saturation")
            }
            image = fn.color_twist(image, **numbers)
        image = fn.crop_mirror_normalize(
            image,
            crop=(224, 224),
            mirror=mirror,
            mean=MEAN.flatten().tolist(),
            std=STD.flatten().tolist(),
            dtype=types.FLOAT,
            output_layout="CHW",
        )
        return image, label

    pipeline = images()
    pipeline.build()
    return DaliBatches(pipeline, len(files))


def _copy_to_torch(made):
    """A copy, as DALI writes its own memory anew."""
    from nvidia.dali.backend import TensorListCPU

    if isinstance(made, TensorListCPU):
        return torch.from_numpy(made.as_array().copy())
    return torch.from_dlpack(made.as_tensor()).clone()


POLL_SECONDS, IDLE_POLLS = 0.0003, 4  # a thread may be between two pieces of work


def wait_for_other_threads():
    """Until those of this process use no processor."""
    before, quiet = 0.0, 0
    while quiet < IDLE_POLLS:
        time.sleep(POLL_SECONDS)
        used = time.process_time() - time.thread_time()
        quiet = quiet + 1 if used - before < POLL_SECONDS / 10 else 0
        before = used


class DaliBatches:
    """One pass: so many batches are asked for, two ahead, and none is under way when it has ended.

    DALI begins one batch more than it is asked for, which the next pass begins with: this pass waits for it,
    or it would be made in the turn of whoever comes next.
    """

    PREFETCH = 2

    def __init__(self, pipeline, images):
        self.pipeline, self.batches = pipeline, -(-images // BATCH)

    def __iter__(self):
        pipeline, asked = self.pipeline, 0
        for given in range(self.batches):
            while asked < min(self.batches, given + self.PREFETCH):
                pipeline.schedule_run()
                asked += 1
            images, labels = pipeline.share_outputs()
            yield _copy_to_torch(images), _copy_to_torch(labels)[:, 0]
            pipeline.release_outputs()
        wait_for_other_threads()


def spdl(files, work, workers, folder):
    """Decodes, crops and scales by FFmpeg's filters, in threads."""
    from spdl import io
    from spdl.pipeline import PipelineBuilder

    filters = FfmpegFilters(files, work)

    def decoded(row):
        data = files.read(row)
        chain = io.get_video_filter_desc(filter_desc=filters.chain(data), pix_fmt="rgb24")
        return io.decode_packets(io.demux_image(data), filter_desc=chain), int(files.labels[row])

    def batch(found):
        frames, labels = zip(*found, strict=True)
        images = io.to_torch(io.convert_frames(list(frames)))
        return normalize_batch(images.permute(0, 3, 1, 2)), torch.tensor(labels)

    threads = max(1, workers)

    def pipeline():
        steps = PipelineBuilder().add_source(range(len(files))).pipe(decoded, concurrency=threads)
        return steps.aggregate(BATCH).pipe(batch).add_sink(2).build(num_threads=threads)

    return SpdlBatches(pipeline)


class SpdlBatches:
    """One pass: threads of its own, which have ended with it."""

    def __init__(self, pipeline):
        self.pipeline = pipeline

    def __iter__(self):
        pipeline = self.pipeline()
        with pipeline.auto_stop():
            yield from pipeline.get_iterator()


class FfmpegFilters(PeerDataset):
    """What FFmpeg is told to do with an image."""

    def chain(self, data):
        if self.work == "validation":
            return "scale=256:256:force_original_aspect_ratio=increase:flags=bilinear,crop=224:224"
        header = read_jpeg_header(data)
        left, top, width, height = self.draw_crop_box(header.width, header.height)
        mirror, degrees, _, brightness, contrast, saturation = self.draw_parameters()  # it does not zoom
        steps = [f"crop={width}:{height}:{left}:{top}:exact=1", "scale=224:224:flags=bilinear"]
        steps += ["hflip"] if mirror else []
        if self.work == "moderate":
            steps += [
                f"rotate={math.radians(degrees)}:c=gray",
                f"eq=brightness={brightness - 1}:contrast={contrast}:saturation={saturation}",
            ]
        return ",".join(steps)
