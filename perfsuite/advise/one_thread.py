"""Run on one core: what is counted or timed must not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from perfsuite.data.engines.worker_environment import limit_library_threads
from perfsuite.transforms.optional_libraries import import_opencv


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit PyTorch and OpenCV to one thread in the block."""
    cv2 = import_opencv()
    threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads() if cv2 else 1
    limit_library_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if cv2 is not None:
            cv2.setNumThreads(cv2_threads)
