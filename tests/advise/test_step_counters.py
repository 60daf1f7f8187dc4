"""Counted training steps: exact, sensitive to planted faults, and compared with a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from perfsuite.advise import step_counters
from perfsuite.advise.step_counters import CASES, diff_counters
from perfsuite.cli import main
from perfsuite.training.step.step import TrainingStep


@pytest.mark.parametrize("case", ["eager", "bf16", "distributed", "predicted"])
def test_counting_twice_gives_the_same(case: str) -> None:
    assert CASES[case]() == CASES[case]()


def test_each_preset_has_its_own_counts() -> None:
    eager, bf16, fused, parts = (CASES[name]() for name in ("eager", "bf16", "fused", "accumulated"))
    assert eager["host_syncs"] == eager["casts"] == eager["layout_copies"] == 0
    assert bf16["casts"] > 0
    assert bf16["saved_bytes"] < eager["saved_bytes"]
    assert fused["aten._fused_sgd_"] == 2
    assert parts["flops"] == 2 * eager["flops"]
    assert CASES["distributed"]()["all_reduces"] == 1  # of two accumulated batches


@pytest.mark.parametrize(
    ("plant", "difference"),
    [
        (lambda loss, images: loss.item(), "host_syncs 0 -> 1"),
        (lambda loss, images: images.transpose(1, 3).contiguous(), "layout_copies 0 -> 1"),
        (lambda loss, images: images.double(), "casts 0 -> 1"),
    ],
    ids=["wait", "layout copy", "cast"],
)
def test_a_planted_fault_changes_a_counter(
    plant: Any, difference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = CASES["eager"]()
    plain = TrainingStep._forward_backward_batch

    def planted(self: TrainingStep, images: Tensor, labels: Tensor, weight: Any) -> Tensor:
        loss = plain(self, images, labels, weight)
        plant(loss, images)
        return loss

    monkeypatch.setattr(TrainingStep, "_forward_backward_batch", planted)
    assert any(difference in line for line in diff_counters({"eager": before}, {"eager": CASES["eager"]()}))


@pytest.fixture
def _few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_counters, "CASES", {"one": lambda: {"casts": 2, "flops": 1000}})


@pytest.mark.usefixtures("_few_cases")
def test_update_writes_and_prints_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["counters", "--expected-dir", str(tmp_path)]
    assert main(command) == 12
    assert main([*command, "--update"]) == 0
    assert main(command) == 0
    (path,) = tmp_path.iterdir()
    path.write_text(json.dumps({"one": {"casts": 1, "flops": 1000}}))
    capsys.readouterr()
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "one: casts 1 -> 2 (+1)\nbroken: 1 cases, 1 counters differ from" in out
    assert main([*command, "--update"]) == 0
    assert "one: casts 1 -> 2 (+1)" in capsys.readouterr().out
    assert main(command) == 0


@pytest.mark.usefixtures("_few_cases")
def test_a_damaged_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["counters", "--expected-dir", str(tmp_path), "--update"])
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    assert main(["counters", "--expected-dir", str(tmp_path)]) == 13
    assert "not JSON" in capsys.readouterr().err


def test_added_and_removed_cases_are_differences() -> None:
    assert diff_counters({"a": {"x": 1}}, {"b": {"x": 1}}) == ["a: x 1 -> 0 (-1)", "b: x 0 -> 1 (+1)"]
