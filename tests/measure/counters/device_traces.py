"""Stand-in traces of torch's profiler: the events of a Chrome trace, as CUDA and CUPTI would give them."""

from __future__ import annotations

from typing import Any

FILL = "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>, std::array<char*> >"


class TraceBuilder:
    """Builds a trace call by call. The device's activities come late, in another order than the calls."""

    def __init__(self, correlation: int = 100) -> None:
        self._correlation = correlation
        self._host: list[dict[str, Any]] = []
        self._device: list[dict[str, Any]] = []

    def call(self, name: str, category: str = "cuda_runtime") -> TraceBuilder:
        """A call of the host that starts nothing on the device."""
        self._correlation += 1
        self._host.append(self._event(category, name, {"cbid": 1, "correlation": self._correlation}))
        return self

    def launch(
        self, *kernels: str, call: str = "cudaLaunchKernel", category: str = "cuda_runtime"
    ) -> TraceBuilder:
        """A launch of kernels: one, or those of a CUDA graph."""
        self.call(call, category)
        for kernel in kernels:
            self._add_activity("kernel", kernel, {"grid": [1, 1, 1], "block": [128, 1, 1]})
        return self

    def copy(self, kind: str, call: str = "cudaMemcpyAsync") -> TraceBuilder:
        """A copy, by CUPTI's name: "HtoD (Pageable -> Device)"."""
        self.call(call)
        self._add_activity("gpu_memcpy", f"Memcpy {kind}", {"bytes": 4096})
        return self

    def fill(self) -> TraceBuilder:
        self.call("cudaMemsetAsync")
        self._add_activity("gpu_memset", "Memset (Device)", {"bytes": 4096})
        return self

    def _add_activity(self, category: str, name: str, arguments: dict[str, Any]) -> None:
        arguments = {"device": 0, "stream": 7, "correlation": self._correlation, **arguments}
        self._device.insert(0, self._event(category, name, arguments))

    def _event(self, category: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        start = 10.0 * self._correlation
        return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": 5.0, "args": arguments}

    def json(self) -> dict[str, Any]:
        """The trace, with the other kinds of event that a trace has."""
        other = [
            {"ph": "M", "name": "process_name", "args": {"name": "python"}},
            {"ph": "s", "cat": "ac2g", "name": "ac2g", "id": 101, "ts": 1.0},
            {"ph": "X", "cat": "cpu_op", "name": "aten::add", "ts": 1.0, "args": {"External id": 5}},
            {
                "ph": "X",
                "cat": "gpu_user_annotation",
                "name": "step",
                "ts": 1.0,
                "args": {"correlation": 150},
            },
            {"ph": "X", "cat": "overhead", "name": "Buffer Flush", "ts": 1.0},
        ]
        return {"schemaVersion": 1, "traceEvents": [*other, *self._host, *self._device]}


def begin() -> TraceBuilder:
    """The first marker and the wait for it."""
    return TraceBuilder().call("cudaGetDeviceCount").launch(FILL).call("cudaDeviceSynchronize")


def end(trace: TraceBuilder) -> dict[str, Any]:
    """The wait for the call, the last marker, and the profiler's own wait."""
    closed = trace.call("cudaDeviceSynchronize").launch(FILL).call("cudaDeviceSynchronize")
    return closed.json()
