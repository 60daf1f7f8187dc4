"""torch.compile with a fallback to eager execution, and counts of compiled graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

# Raised by checks that the user enabled (torch.compiler.set_stance, fullgraph); a fallback would hide them.
STRICT_COMPILE_ERRORS = {"RecompileError", "FailOnRecompileLimitHit"}


class CompileFallbackWarning(UserWarning):
    """A function that should have been compiled runs uncompiled."""


@dataclass(frozen=True, slots=True)
class CompileCounts:
    """What torch.compile has done in this process, or between two readings: `after - before`."""

    graphs: int = 0
    graph_breaks: int = 0

    def __sub__(self, before: CompileCounts) -> CompileCounts:
        return CompileCounts(self.graphs - before.graphs, self.graph_breaks - before.graph_breaks)


def compile_counts() -> CompileCounts:
    """Read torch's counters of this process."""
    # Private, but torch's own benchmarks read it too; there is no public counter of graph breaks.
    from torch._dynamo.utils import counters

    return CompileCounts(counters["stats"]["unique_graphs"], sum(counters["graph_break"].values()))


def is_compile_error(error: BaseException) -> bool:
    """Whether the compiler failed, rather than the compiled code.

    >>> is_compile_error(ValueError("a mistake in the model"))
    False
    """
    if type(error).__name__ in STRICT_COMPILE_ERRORS:
        return False
    modules = (kind.__module__ for kind in type(error).__mro__)
    return any(module.startswith(("torch._dynamo", "torch._inductor")) for module in modules)


class CompiledFunction(Generic[P, R]):
    """`function`, compiled at its first call; after a compiler error it runs uncompiled.

    `fallback_reason` is the first line of that error, or None. `active` is what runs now; it raises compiler
    errors, for callers that have something to undo before they run `function`.

    >>> doubled = CompiledFunction(lambda x: x * 2, mode="off")
    >>> doubled(torch.ones(2)), doubled.fallback_reason
    (tensor([2., 2.]), None)
    """

    def __init__(self, function: Callable[P, R], mode: str) -> None:
        self.function = function
        self.mode = mode
        self.fallback_reason: str | None = None
        self.active: Callable[P, R] = function
        if mode != "off":
            try:
                self.active = torch.compile(function, mode=None if mode == "default" else mode)
            except RuntimeError as error:  # this Python or platform has no torch.compile
                self.fall_back(error)

    @property
    def is_compiled(self) -> bool:
        return self.active is not self.function

    @property
    def reuses_output_memory(self) -> bool:
        """Whether CUDA graphs write every output to the same memory, so that one must be copied to last."""
        return self.is_compiled and self.mode in ("reduce-overhead", "max-autotune")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self.active(*args, **kwargs)
        except Exception as error:
            if not (self.is_compiled and is_compile_error(error)):
                raise
            self.fall_back(error)
        return self.function(*args, **kwargs)

    def fall_back(self, error: Exception) -> None:
        """Run uncompiled from now on, with a warning."""
        self.active = self.function
        self.fallback_reason = _first_line(error)
        warnings.warn(
            f"compile: mode {self.mode!r} failed ({self.fallback_reason}); running uncompiled",
            CompileFallbackWarning,
            3,
        )


def _first_line(error: Any) -> str:
    error = getattr(error, "inner_exception", error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]
