"""What a device did, counted in traces that stand in for those of torch's profiler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.measure.counters import device_trace
from perfsuite.measure.counters.device_trace import BLIND, count_events, parse_trace
from perfsuite.measure.counters.family import KERNEL_PREFIX
from perfsuite.measure.counters.registry import DEVICE_COUNTERS, count, count_call
from tests.measure.counters.device_traces import FILL, TraceBuilder, begin, end

Build = Callable[[TraceBuilder], TraceBuilder]
GEMM = "sm90_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize64x64x32_cublas"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float> >"


def step(trace: TraceBuilder) -> TraceBuilder:
    """A call as it should be: a copy to the device, two kernels, a fill, no wait."""
    return trace.copy("HtoD (Pinned -> Device)").launch(GEMM).launch(ADD).fill()


def counted(build: Build) -> dict[str, int]:
    counts = count_events(parse_trace(end(build(begin()))))
    assert counts is not None
    return counts


STEP = {
    "kernel_launches": 2,
    "device_kernels": 2,
    "memcpy_h2d": 1,
    "memcpy_d2h": 0,
    "memcpy_d2d": 0,
    "memsets": 1,
    "device_syncs": 0,
    f"{KERNEL_PREFIX}{GEMM}": 1,
    f"{KERNEL_PREFIX}{ADD}": 1,
}


def test_a_call_is_counted_without_the_markers() -> None:
    assert counted(step) == STEP


def test_a_call_that_leaves_the_device_alone_has_zeros() -> None:
    nothing = counted(lambda trace: trace)
    assert set(nothing.values()) == {0}
    assert set(nothing) == DEVICE_COUNTERS - {"cuda_allocations"}


def triton(trace: TraceBuilder) -> TraceBuilder:
    return trace.launch("normalize_kernel", call="cuLaunchKernelEx", category="cuda_driver")


PLANTED: dict[str, tuple[Build, dict[str, int]]] = {
    "one more launch": (lambda trace: trace.launch(ADD), {"kernel_launches": 3, "device_kernels": 3}),
    "one more launch by the driver": (triton, {"kernel_launches": 3, "device_kernels": 3}),
    "a replayed CUDA graph": (
        lambda trace: trace.launch(GEMM, ADD, ADD, call="cudaGraphLaunch"),
        {"kernel_launches": 3, "device_kernels": 5},
    ),
    "item()": (
        lambda trace: trace.copy("DtoH (Device -> Pageable)").call("cudaStreamSynchronize"),
        {"memcpy_d2h": 1, "device_syncs": 1},
    ),
    "a copy on the device": (lambda trace: trace.copy("DtoD (Device -> Device)"), {"memcpy_d2d": 1}),
    "a copy to another device": (lambda trace: trace.copy("PtoP (Device -> Device)"), {"memcpy_d2d": 1}),
    "one more copy to the device": (
        lambda trace: trace.copy("HtoD (Pageable -> Device)"),
        {"memcpy_h2d": 2},
    ),
    "a fill": (lambda trace: trace.fill(), {"memsets": 2}),
    "synchronize": (lambda trace: trace.call("cudaDeviceSynchronize"), {"device_syncs": 1}),
    "an event is waited for": (lambda trace: trace.call("cudaEventSynchronize"), {"device_syncs": 1}),
    "a stream waits for an event": (lambda trace: trace.call("cudaStreamWaitEvent"), {}),
    "an event is asked": (lambda trace: trace.call("cudaEventQuery"), {}),
}


@pytest.mark.parametrize(("build", "changes"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_moves_its_counters_alone(build: Build, changes: dict[str, int]) -> None:
    counts = counted(lambda trace: build(step(trace)))
    assert without_kernels(counts) == without_kernels(STEP) | changes


def without_kernels(counts: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if not name.startswith(KERNEL_PREFIX)}


def test_kernels_are_counted_by_name_and_long_names_are_cut() -> None:
    counts = counted(lambda trace: step(trace).launch(ADD).launch("x" * 5000))
    assert counts[f"{KERNEL_PREFIX}{ADD}"] == 2
    assert max(map(len, counts)) <= len(KERNEL_PREFIX) + 100


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"traceEvents": []},
        TraceBuilder().call("cudaDeviceSynchronize").json(),
        TraceBuilder().launch(FILL).call("cudaDeviceSynchronize").json(),
        TraceBuilder().launch(FILL).launch(ADD).json(),  # the last marker was lost
        TraceBuilder().launch(FILL).launch(FILL).json(),  # the waits were lost
    ],
    ids=["empty", "no event", "no kernel", "one kernel", "no marker", "no wait"],
)
def test_a_trace_without_both_markers_counts_nothing(trace: dict[str, Any]) -> None:
    """Negative control: a blind profiler does not pass for a call that launches nothing."""
    assert count_events(parse_trace(trace)) is None


class StandInProfiler:
    """In place of `torch.profiler.profile`: writes a trace of its own."""

    trace: dict[str, Any]

    def __init__(self, activities: list[object]) -> None:
        assert activities == [torch.profiler.ProfilerActivity.CUDA]

    def __enter__(self) -> StandInProfiler:
        return self

    def __exit__(self, *error: object) -> None: ...

    def export_chrome_trace(self, path: str) -> None:
        Path(path).write_text(json.dumps(self.trace))


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """A process that seems to use a device, whose profiler gives a trace. Its tensors are on the CPU."""
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device=None: zeros(*size))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(device_trace, "_is_device_in_use", lambda: True)
    monkeypatch.setattr(torch.profiler, "profile", StandInProfiler)

    def use(trace: dict[str, Any]) -> None:
        monkeypatch.setattr(StandInProfiler, "trace", trace, raising=False)

    return use


def test_a_call_on_a_device_is_traced_in_a_call_of_its_own(traced: Callable[[dict[str, Any]], None]) -> None:
    traced(end(step(begin())))
    modes: list[object] = []

    def call() -> None:
        modes.append(torch.utils._python_dispatch._get_current_dispatch_mode())

    counts = count_call(call)
    assert [mode is None for mode in modes] == [False, True], "counted under dispatch modes, traced without"
    assert counts.values["kernel_launches"] == 2
    assert counts.kernels == {f"{KERNEL_PREFIX}{GEMM}": 1, f"{KERNEL_PREFIX}{ADD}": 1}
    assert not counts.kernels.keys() & counts.values.keys()
    assert not counts.missing


def test_a_blind_profiler_leaves_the_counters_out_and_says_so(
    traced: Callable[[dict[str, Any]], None],
) -> None:
    traced({"traceEvents": []})
    counts = count_call(lambda: None)
    assert counts.missing == BLIND
    assert not DEVICE_COUNTERS & counts.values.keys()


def test_without_a_device_its_counters_do_not_exist() -> None:
    assert not DEVICE_COUNTERS & count(lambda: torch.ones(2)).keys()
    expected = {
        "kernel_launches",
        "memcpy_h2d",
        "memcpy_d2h",
        "memcpy_d2d",
        "device_syncs",
        "cuda_allocations",
    }
    assert expected <= DEVICE_COUNTERS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_profiler_of_a_real_device_counts_what_was_launched() -> None:
    host, images = torch.ones(256), torch.ones(256, device="cuda")

    def call() -> None:
        images.add_(1)
        images.copy_(host)
        images.sum().item()

    first, second = count(call), count(call)
    assert first == second
    assert (first["memcpy_h2d"], first["memcpy_d2h"]) == (1, 1)
    assert first["kernel_launches"] >= 2
    assert first["device_syncs"] >= 1
    assert count(lambda: images.add_(1))["kernel_launches"] == 1
