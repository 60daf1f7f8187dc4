"""A training step of a model, to be measured in the same turns as the loaders."""

from __future__ import annotations

from functools import partial
from math import ceil

from torch import Tensor

from perfsuite.advise.inputs.models import load_model_for
from perfsuite.advise.sweep.loader_run import StepRun
from perfsuite.advise.sweep.measure import MakeStep
from perfsuite.advise.timed_step import step_call
from perfsuite.measure.clock import make_clock
from perfsuite.measure.memory import measure_peak_memory
from perfsuite.training.devices import DeviceTransfer, choose_device
from perfsuite.training.step.presets import EAGER

TURN_SECONDS = 0.2  # approximate


def step_of_model(name: str, device: str = "auto") -> MakeStep:
    """A function that makes the training step of a model, for the loader's images and labels."""
    return partial(_make_step, name, device)


def _make_step(name: str, device: str, images: Tensor, labels: Tensor) -> StepRun:
    chosen = choose_device(device)
    model = load_model_for(name, images, labels).to(chosen)
    images, labels = DeviceTransfer(chosen)((images, labels))
    call, clock = step_call(model, EAGER, images, labels), make_clock(str(chosen))
    call()  # allocate, and compile kernels
    calls = max(1, ceil(TURN_SECONDS / max(clock.time_calls(call, 1), 1e-6)))
    device_peak_bytes = measure_peak_memory(call).peak_cuda_allocated_bytes
    return StepRun(call, len(labels), clock, calls, device_peak_bytes)
