"""`perfsuite claims`: what was measured before an interruption is reported."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.advise.claims import measure
from perfsuite.advise.claims.results import ClaimsReport
from perfsuite.advise.time_limit import TimeLimit
from perfsuite.cli import main
from perfsuite.data.synthetic import dataset


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_measured_before_a_signal_is_reported(
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def memory(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        return replace(report, memory={"eager": 2**20, "bf16": 2**19}, memory_metric="planted bytes")

    def interrupted(report: ClaimsReport, limit: TimeLimit) -> ClaimsReport:
        os.kill(os.getpid(), number)
        return report

    monkeypatch.setattr(measure, "_measures", lambda *_: {"memory": memory, "inference": interrupted})
    monkeypatch.setattr(dataset, "cached_dataset", lambda **_: tmp_path)
    page = tmp_path / "claims.md"
    assert main(["claims", "--seconds", "600", "--markdown", str(page)]) == 130
    assert "planted bytes" in page.read_text()
    assert "not measured yet: Inference" in page.read_text()
    assert main(["claims", "--seconds", "600"]) == 130
    assert "planted bytes" in capsys.readouterr().out
