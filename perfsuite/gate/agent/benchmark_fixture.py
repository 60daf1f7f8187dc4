"""Replace pytest-benchmark's own measuring, so that a benchmark's call goes to the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .benchmark_call import BenchmarkCall

Serve = Callable[[Any, BenchmarkCall], None]  # the fixture and its call


def patch_benchmark(fixture_class: Any, serve: Serve) -> None:
    """Let `benchmark(...)` and `benchmark.pedantic(...)` hand their calls to `serve`."""

    def raw(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        serve(self, _plain_call(function, args, kwargs))
        return function(*args, **kwargs)

    def raw_pedantic(
        self: Any,
        target: Callable[..., Any],
        args: Any = (),
        kwargs: Any = None,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 0,
        iterations: int = 1,
    ) -> Any:
        _check_iterations(iterations, setup)
        make_arguments = _arguments_of(args, kwargs or {}, setup)
        workload = BenchmarkCall(
            target,
            setup=make_arguments,
            teardown=teardown,
            iterations=iterations,
            is_repeatable=setup is None and teardown is None,
        )
        serve(self, workload)
        last_args, last_kwargs = make_arguments()
        result = target(*last_args, **last_kwargs)
        if teardown is not None:
            teardown(*last_args, **last_kwargs)
        return result

    fixture_class._raw, fixture_class._raw_pedantic = raw, raw_pedantic


def _plain_call(function: Callable[..., Any], args: Any, kwargs: Any) -> BenchmarkCall:
    if args or kwargs:
        return BenchmarkCall(function, setup=lambda: (args, kwargs), is_repeatable=True)
    return BenchmarkCall(function)


# The errors below are pytest-benchmark's own.
def _arguments_of(args: Any, kwargs: Any, setup: Callable[[], Any] | None) -> Callable[[], tuple[Any, Any]]:
    """What makes the arguments of one call: those given, or a fresh set from `setup`."""

    def make_arguments() -> tuple[Any, Any]:
        made = setup() if setup else None
        if made and (args or kwargs):
            raise TypeError("Can't use `args` or `kwargs` if `setup` returns the arguments.")
        return made or (args, kwargs)

    return make_arguments


def _check_iterations(iterations: int, setup: Callable[[], Any] | None) -> None:
    if not isinstance(iterations, int) or iterations < 1:
        raise ValueError("Must have positive int for `iterations`.")
    if iterations > 1 and setup:
        raise ValueError("Can't use more than 1 `iterations` with a `setup` function.")
