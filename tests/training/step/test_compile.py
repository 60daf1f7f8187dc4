from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite.stages import listen_to_stages
from perfsuite.training.step.compile import (
    CompileCounts,
    CompiledFunction,
    CompileFallbackWarning,
    compile_counts,
)
from perfsuite.training.step.presets import BF16, COMPILED, EAGER
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import MakeOptimizer, norm_model, random_batch


@pytest.fixture(autouse=True)
def _empty_compile_cache() -> None:
    torch.compiler.reset()


def broken_compile(fails_in: str) -> Callable[..., Callable[..., Any]]:
    """A torch.compile whose backend fails as if the C++ compiler were missing."""

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        if fails_in == "forward":
            raise RuntimeError("no C++ compiler")

        def no_backward(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
            raise backend_error("backward: no C++ compiler")

        from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
        from torch._dynamo.backends.common import aot_autograd

        return aot_autograd(fw_compiler=lambda g, i: make_boxed_func(g.forward), bw_compiler=no_backward)(
            graph, inputs
        )

    torch_compile = torch.compile
    return lambda function, mode=None: torch_compile(function, backend=backend)


def backend_error(message: str) -> Exception:
    from torch._dynamo.exc import BackendCompilerFailed

    return BackendCompilerFailed(backend_error, RuntimeError(message), None)


@pytest.mark.parametrize("fails_in", ["forward", "backward"])
def test_a_step_that_cannot_be_compiled_equals_an_eager_one(
    fails_in: str, sgd: MakeOptimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", broken_compile(fails_in))
    compiled, eager = norm_model(), norm_model()
    step, reference = TrainingStep(compiled, sgd(compiled), COMPILED), TrainingStep(eager, sgd(eager))
    with pytest.warns(CompileFallbackWarning, match="'default' failed.*running uncompiled"):
        losses = [step(*random_batch(8))]
    losses.append(step(*random_batch(8)))
    assert "no C++ compiler" in (step.fallback_reason or "")
    assert losses == [reference(*random_batch(8)), reference(*random_batch(8))]
    for name, value in eager.state_dict().items():
        assert torch.equal(compiled.state_dict()[name], value), name


@pytest.mark.parametrize("fails_in", ["forward", "backward"])
def test_a_failed_compilation_draws_no_random_numbers(
    fails_in: str, sgd: MakeOptimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", broken_compile(fails_in))
    losses = []
    for preset in (COMPILED, EAGER):
        model = norm_model().append(nn.Dropout(0.5))
        step = TrainingStep(model, sgd(model), preset)
        torch.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CompileFallbackWarning)
            losses.append([step(*random_batch(8)).item() for _ in range(2)])
    assert losses[0] == losses[1]


class BeganStages:
    """The stages in the order in which they begin."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begin(self, stage: str) -> None:
        self.names.append(stage)

    def end(self, stage: str) -> None: ...

    def count_event(self, event: str, count: int) -> None: ...


@pytest.mark.parametrize(
    ("fails_in", "failed"), [("forward", ["forward"]), ("backward", ["forward", "backward"])]
)
def test_after_a_failed_compilation_the_step_runs_once_more(
    fails_in: str, failed: list[str], sgd: MakeOptimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", broken_compile(fails_in))
    model = norm_model()
    step, began = TrainingStep(model, sgd(model), COMPILED), BeganStages()
    with listen_to_stages(began), pytest.warns(CompileFallbackWarning):
        step(*random_batch(8))
    assert began.names == [*failed, "forward", "backward", "optimize"]


def test_a_platform_without_compile_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("not supported on this Python")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(CompileFallbackWarning, match="not supported on this Python"):
        doubled = CompiledFunction(lambda x: x * 2, "default")
    assert doubled(torch.ones(1)) == 2
    assert not doubled.is_compiled


def test_an_error_in_the_model_is_raised_and_not_a_fallback(sgd: MakeOptimizer) -> None:
    def failing_loss(scores: Tensor, labels: Tensor) -> Tensor:
        raise ValueError("a mistake in the loss")

    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED, loss=failing_loss)
    with pytest.raises(ValueError, match="a mistake in the loss"):
        step(*random_batch(8))


def test_fail_on_recompile_stays_an_error(sgd: MakeOptimizer) -> None:
    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED)
    step(*random_batch(8))
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="recompile"):
        step(*random_batch(5))


def test_compiled_steps_equal_eager_ones_and_are_one_graph(sgd: MakeOptimizer) -> None:
    compiled, eager = norm_model(), norm_model()
    step, reference = TrainingStep(compiled, sgd(compiled), COMPILED), TrainingStep(eager, sgd(eager))
    for _ in range(3):
        batch = random_batch(8)
        assert step(*batch).item() == pytest.approx(reference(*batch).item(), rel=1e-5)
    assert step.compile_counts.graphs == 1
    assert step.compile_counts.graph_breaks == 0
    assert step.recompiles == 0
    assert step.fallback_reason is None


def test_recompiles_are_counted(sgd: MakeOptimizer) -> None:
    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED)
    step(*random_batch(8))
    step(*random_batch(5))
    assert step.recompiles == 1


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # from torch's own tracing
def test_graph_breaks_are_counted(sgd: MakeOptimizer) -> None:
    def breaking_loss(scores: Tensor, labels: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return nn.functional.cross_entropy(scores, labels)

    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED, loss=breaking_loss)
    step(*random_batch(8))
    assert step.compile_counts.graphs == 2
    assert step.compile_counts.graph_breaks > 0  # one per frame that contains the break


def test_compiled_bf16_stays_near_eager_float32(sgd: MakeOptimizer) -> None:
    compiled, eager = norm_model(), norm_model()
    loss = TrainingStep(compiled, sgd(compiled), COMPILED + BF16)(*random_batch(8))
    expected = TrainingStep(eager, sgd(eager))(*random_batch(8))
    assert loss.item() == pytest.approx(expected.item(), rel=2e-2)


def test_the_difference_of_two_readings_counts_what_was_compiled_between() -> None:
    before = compile_counts()
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    assert compile_counts() - before == CompileCounts(graphs=1, graph_breaks=0)
