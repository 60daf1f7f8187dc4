"""The names of presets, runtimes and options of docs/training.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.training.inference.runtimes.registry import RUNTIMES
from perfsuite.training.step.presets import NAMED_PRESETS

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def test_the_page_names_every_preset_and_runtime() -> None:
    # Eager is no preset at all, and the page abbreviates the second with "...".
    exempt = {"eager", "compiled-reduce-overhead"}
    assert [name for name in NAMED_PRESETS.keys() - exempt if f"`{name}" not in PAGE] == []
    assert [name for name in RUNTIMES.keys() - {"eager"} if name not in PAGE] == []


def test_every_option_on_the_page_exists(capsys: pytest.CaptureFixture[str]) -> None:
    help_text = "--nproc-per-node"  # an option of torchrun
    for command in ("train", "predict", "scaling", "claims"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        help_text += capsys.readouterr().out
    options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)
    assert len(options) > 20
    assert [option for option in options if option not in help_text] == []
