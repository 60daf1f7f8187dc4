from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perfsuite.training.step import compile
from perfsuite.training.step.compile import CompiledFunction, CompileFallbackWarning, compile_counts
from perfsuite.training.step.presets import BF16, COMPILED
from perfsuite.training.step.step import TrainingStep
from tests.training.tiny_models import batch_of, norm_model

SGD = Callable[[nn.Module], torch.optim.Optimizer]


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> None:
    torch.compiler.reset()


def broken_compile(fails_in: str) -> Callable[..., Callable[..., Any]]:
    """A torch.compile whose backend fails as a missing compiler does."""

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        if fails_in == "forward":
            raise RuntimeError("no C++ compiler")

        def no_backward(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
            raise compiled_error("backward: no C++ compiler")

        from functorch.compile import make_boxed_func
        from torch._dynamo.backends.common import aot_autograd

        return aot_autograd(fw_compiler=lambda g, i: make_boxed_func(g.forward), bw_compiler=no_backward)(
            graph, inputs
        )

    real = torch.compile
    return lambda function, mode=None: real(function, backend=backend)


def compiled_error(message: str) -> Exception:
    from torch._dynamo.exc import BackendCompilerFailed

    return BackendCompilerFailed(compiled_error, RuntimeError(message), None)


@pytest.mark.parametrize("fails_in", ["forward", "backward"])
def test_a_step_whose_compiling_fails_goes_on_as_if_never_asked(
    fails_in: str, sgd: SGD, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", broken_compile(fails_in))
    ours, plain = norm_model(), norm_model()
    step, reference = TrainingStep(ours, sgd(ours), COMPILED), TrainingStep(plain, sgd(plain))
    with pytest.warns(CompileFallbackWarning, match="'default' failed.*going on uncompiled"):
        losses = [step(*batch_of(8))]
    losses.append(step(*batch_of(8)))
    assert "no C++ compiler" in (step.fell_back or "")
    assert losses == [reference(*batch_of(8)), reference(*batch_of(8))]
    for name, value in plain.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_a_platform_without_compile_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("not supported on this Python")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(CompileFallbackWarning, match="not supported on this Python"):
        doubled = CompiledFunction(lambda x: x * 2, "default")
    assert doubled(torch.ones(1)) == 2
    assert not doubled.is_compiled


def test_a_mistake_in_the_model_is_not_taken_for_one_of_the_compiler(sgd: SGD) -> None:
    def wrong(scores: Tensor, labels: Tensor) -> Tensor:
        raise ValueError("my mistake")

    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED, loss=wrong)
    with pytest.raises(ValueError, match="my mistake"):
        step(*batch_of(8))


def test_being_strict_about_recompiles_stays_strict(sgd: SGD) -> None:
    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED)
    step(*batch_of(8))
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="recompile"):
        step(*batch_of(5))


def test_compiled_steps_equal_eager_ones_and_are_one_graph(sgd: SGD) -> None:
    ours, plain = norm_model(), norm_model()
    step, reference = TrainingStep(ours, sgd(ours), COMPILED), TrainingStep(plain, sgd(plain))
    for _ in range(3):
        batch = batch_of(8)
        assert step(*batch).item() == pytest.approx(reference(*batch).item(), rel=1e-5)
    assert step.compilation.graphs == 1
    assert step.compilation.graph_breaks == 0
    assert step.recompiles == 0
    assert step.fell_back is None


def test_recompiles_are_counted(sgd: SGD) -> None:
    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED)
    step(*batch_of(8))
    step(*batch_of(5))
    assert step.recompiles == 1


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's own tracing
def test_graph_breaks_are_counted(sgd: SGD) -> None:
    def breaking(scores: Tensor, labels: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return nn.functional.cross_entropy(scores, labels)

    model = norm_model()
    step = TrainingStep(model, sgd(model), COMPILED, loss=breaking)
    step(*batch_of(8))
    assert step.compilation.graphs == 2
    assert step.compilation.graph_breaks > 0  # one for each frame that it goes through


def test_compiled_bf16_stays_near_eager_float32(sgd: SGD) -> None:
    ours, plain = norm_model(), norm_model()
    found = TrainingStep(ours, sgd(ours), COMPILED + BF16)(*batch_of(8))
    assert found.item() == pytest.approx(TrainingStep(plain, sgd(plain))(*batch_of(8)).item(), rel=2e-2)


def test_the_difference_of_two_readings_is_what_was_compiled_between() -> None:
    before = compile_counts()
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    assert compile_counts() - before == compile.CompileCounts(graphs=1, graph_breaks=0)
