"""Measures the claims part by part: what is done is handed on before the next part begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.advise.claims import inference, loading, training
from perfsuite.advise.claims.compile_cache import empty_compile_cache
from perfsuite.advise.claims.process_times import time_processes_in_turns
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import detect_environment

if TYPE_CHECKING:
    from torch import Tensor, nn

Rejections = dict[str, str]
ClaimsPart = Callable[[ClaimsReport, Rejections], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ClaimsConfig:
    """What is to be measured, and for how long: `seconds` for each table."""

    model: str = "small"
    image_size: int = 64
    batch_size: int = 32
    seconds: float = 40.0
    device: str = "cpu"


def measure_claims(
    question: ClaimsConfig, image_dir: Path, tell: Callable[[str], None], keep: Callable[[ClaimsReport], None]
) -> ClaimsReport:
    """All that the claims are about, on this machine; `keep` is given what is known after each part."""
    parts = _parts(question, image_dir)
    found = ClaimsReport(_settings(question), question.batch_size, pending=tuple(parts))
    refused: Rejections = {}
    for number, (name, part) in enumerate(parts.items(), 1):
        tell(f"{number} of {len(parts)}: {name}")
        more: Mapping[str, Any] = {}
        try:
            more = part(found, refused)
        except PerfsuiteError as error:
            refused[name] = str(error)
        found = replace(found, **more, refused=dict(refused), pending=found.pending[1:])
        keep(found)
    return found


def _parts(question: ClaimsConfig, image_dir: Path) -> dict[str, ClaimsPart]:
    model, images, labels = _model_and_batch(question)

    def table(name: str, rows: Callable[[Rejections], Any]) -> ClaimsPart:
        return lambda found, refused: {"tables": {**found.tables, name: rows(refused)}}

    def compiling(name: str, rows: Callable[[Rejections], Any]) -> ClaimsPart:
        def part(found: ClaimsReport, refused: Rejections) -> Mapping[str, Any]:
            with empty_compile_cache():
                return table(name, rows)(found, refused)

        return part

    def memory(found: ClaimsReport, refused: Rejections) -> Mapping[str, Any]:
        names = [row.name for row in found.tables.get("training", ())]
        sizes, what = training.measure_memory(model, images, labels, names)
        return {"memory": sizes, "memory_metric": what}

    take = question.seconds
    return {
        "loading": table("loading", lambda _: loading.compare_loaders(question, image_dir)),
        "the loader against the step": table(
            "bottleneck",
            lambda _: loading.compare_loader_with_step(question, image_dir, model, images, labels),
        ),
        "waiting for the loader": lambda found, _: {
            "stalls": loading.measure_stalls(question, image_dir, model)
        },
        "batch sizes": table(
            "batch size", lambda _: training.compare_batch_sizes(model, images, labels, take)
        ),
        "training, compiling first": compiling(
            "training", partial(training.compare_presets, model, images, labels, take)
        ),
        "memory": memory,
        "answering, compiling first": compiling(
            "inference", partial(inference.compare_runtimes, model, images, take)
        ),
        "whole processes": lambda found, _: {"processes": _time_train_processes(question, image_dir)},
    }


def _model_and_batch(question: ClaimsConfig) -> tuple[nn.Module, Tensor, Tensor]:
    import torch

    from perfsuite.training.models import make_model

    torch.manual_seed(0)
    side, device = question.image_size, torch.device(question.device)
    images = torch.randn(question.batch_size, 3, side, side, device=device)
    labels = torch.randint(10, (question.batch_size,), device=device)
    return make_model(question.model, 10).to(device), images, labels


def _time_train_processes(question: ClaimsConfig, image_dir: Path) -> Mapping[str, Any]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="perfsuite-claims-") as folder:
        train = [
            *(sys.executable, "-m", "perfsuite", "train", "--quiet", "--data-dir", str(image_dir)),
            *("--model", question.model, "--image-size", str(question.image_size), "--no-amp"),
            *("--batch-size", str(question.batch_size), "--device", question.device),
            *("--model-path", f"{folder}/m.pth"),
        ]
        plain = [*train, "--workers", "0"]
        commands = {
            "no workers": plain,
            "workers as chosen": train,
            "channels_last": [*plain, "--channels-last"],
            "fused": [*plain, "--fused"],
        }
        return time_processes_in_turns(commands, question.seconds)


def _settings(question: ClaimsConfig) -> dict[str, str]:
    import torch

    hard = detect_environment().hard
    return {
        "machine": f"{hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}",
        "versions": f"torch {torch.__version__}, Python {hard['python']}",
        "threads": str(torch.get_num_threads()),
        "case": f"{question.model}, {question.image_size} px, batches of {question.batch_size}",
        "device": question.device,
        "time": f"{question.seconds:g} s a table",
    }
