"""What docs/training.md shows is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from perfsuite.cli import main
from perfsuite.training.inference.export import RUNTIMES
from perfsuite.training.step.presets import NAMED_PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_its_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/training.md", "exec"), names)  # noqa: S102
    assert (tmp_path / "m.pth").exists()


def test_it_names_every_preset_and_runtime() -> None:
    others = {"eager", "compiled-reduce-overhead"}  # what is left without a preset; one of "..."
    assert [name for name in NAMED_PRESETS.keys() - others if f"`{name}" not in PAGE] == []
    assert [name for name in RUNTIMES.keys() - {"eager"} if name not in PAGE] == []


def test_its_options_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    helped = "--nproc-per-node"  # torchrun's
    for command in ("train", "predict", "scaling", "claims"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        helped += capsys.readouterr().out
    options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)
    assert len(options) > 20
    assert [option for option in options if option not in helped] == []
