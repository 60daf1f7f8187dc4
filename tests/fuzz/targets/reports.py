"""A gate.json of a pull request, as `perfsuite render` reads it in every format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perfsuite.report.formats import json as json_format
from perfsuite.report.formats.registry import FORMATS
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import FindingError, Target, run_command
from tests.report.sample_reports import all_outcomes


def corpus() -> Sequence[bytes]:
    return [json.dumps(json.loads(json_format.render(all_outcomes()))).encode()]


def try_one(data: bytes, folder: Path) -> None:
    source = folder / "gate.json"
    source.write_bytes(data)
    for name in FORMATS:
        code, _, error = run_command("render", str(source), "--format", name, "--output", str(folder / "out"))
        if code not in {0, 13}:
            raise FindingError(f"render: exit code {code}: {error}")


TARGET = Target("reports", corpus, mutate_json, try_one)
