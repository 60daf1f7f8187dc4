"""Measures the claims part by part: what is done is handed on before the next part begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfsuite.advise import claims_answering, claims_loading, claims_training
from perfsuite.advise.claims import Claimed
from perfsuite.advise.nothing_compiled import nothing_compiled
from perfsuite.advise.whole_processes import processes_in_turns
from perfsuite.errors import PerfsuiteError
from perfsuite.measure.environment import environment

if TYPE_CHECKING:
    from torch import Tensor, nn

Refused = dict[str, str]
Part = Callable[[Claimed, Refused], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured, and for how long: `seconds` for each table."""

    model: str = "small"
    image_size: int = 64
    batch_size: int = 32
    seconds: float = 40.0
    device: str = "cpu"


def measure_claims(
    question: Question, photos: Path, tell: Callable[[str], None], keep: Callable[[Claimed], None]
) -> Claimed:
    """All that the claims are about, on this machine; `keep` is given what is known after each part."""
    parts = _parts(question, photos)
    found = Claimed(_settings(question), question.batch_size, to_come=tuple(parts))
    refused: Refused = {}
    for number, (name, part) in enumerate(parts.items(), 1):
        tell(f"{number} of {len(parts)}: {name}")
        more: Mapping[str, Any] = {}
        try:
            more = part(found, refused)
        except PerfsuiteError as error:
            refused[name] = str(error)
        found = replace(found, **more, refused=dict(refused), to_come=found.to_come[1:])
        keep(found)
    return found


def _parts(question: Question, photos: Path) -> dict[str, Part]:
    model, images, labels = _subject(question)

    def table(name: str, rows: Callable[[Refused], Any]) -> Part:
        return lambda found, refused: {"tables": {**found.tables, name: rows(refused)}}

    def compiling(name: str, rows: Callable[[Refused], Any]) -> Part:
        def part(found: Claimed, refused: Refused) -> Mapping[str, Any]:
            with nothing_compiled():
                return table(name, rows)(found, refused)

        return part

    def memory(found: Claimed, refused: Refused) -> Mapping[str, Any]:
        names = [row.name for row in found.tables.get("training", ())]
        sizes, what = claims_training.memory(model, images, labels, names)
        return {"memory": sizes, "memory_of": what}

    training, answering, loading = claims_training, claims_answering, claims_loading
    take = question.seconds
    return {
        "loading": table("loading", lambda _: loading.loading(question, photos)),
        "the loader against the step": table(
            "bottleneck", lambda _: loading.bottleneck(question, photos, model, images, labels)
        ),
        "waiting for the loader": lambda found, _: {"stalls": loading.stalls(question, photos, model)},
        "batch sizes": table("batch size", lambda _: training.batch_sizes(model, images, labels, take)),
        "training, compiling first": compiling(
            "training", partial(training.presets, model, images, labels, take)
        ),
        "memory": memory,
        "answering, compiling first": compiling(
            "inference", partial(answering.runtimes, model, images, take)
        ),
        "whole processes": lambda found, _: {"processes": _processes(question, photos)},
    }


def _subject(question: Question) -> tuple[nn.Module, Tensor, Tensor]:
    import torch

    from perfsuite.training.models import make_model

    torch.manual_seed(0)
    side, device = question.image_size, torch.device(question.device)
    images = torch.randn(question.batch_size, 3, side, side, device=device)
    labels = torch.randint(10, (question.batch_size,), device=device)
    return make_model(question.model, 10).to(device), images, labels


def _processes(question: Question, photos: Path) -> Mapping[str, Any]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="perfsuite-claims-") as folder:
        train = [
            *(sys.executable, "-m", "perfsuite", "train", "--quiet", "--data-dir", str(photos)),
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
        return processes_in_turns(commands, question.seconds)


def _settings(question: Question) -> dict[str, str]:
    import torch

    hard = environment().hard
    return {
        "machine": f"{hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}",
        "versions": f"torch {torch.__version__}, Python {hard['python']}",
        "threads": str(torch.get_num_threads()),
        "case": f"{question.model}, {question.image_size} px, batches of {question.batch_size}",
        "device": question.device,
        "time": f"{question.seconds:g} s a table",
    }
