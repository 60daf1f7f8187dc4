"""Pairs of small projects, recorded together in one subprocess."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perfsuite.gate.launch import install_agent
from perfsuite.gate.same_code.proof import PairEvidence
from perfsuite.gate.same_code.recording import read_recording, write_request
from perfsuite.gate.same_code.side_diff import diff_sides

DRIVER = Path(__file__).with_name("recording_driver.py")
Files = Mapping[str, str | bytes]
SHARED = {
    "bench.py": "from toy import feature\n\ndef run():\n    return feature.run()\n",
    "toy/__init__.py": "",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One change: the files of base, and those that head has instead."""

    name: str
    base: Files
    head: Files
    removed: tuple[str, ...] = ()  # that head lacks
    executable: tuple[str, ...] = ()  # on head only
    links: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # base's target and head's


def record_cases(folder: Path, cases: list[Case], python: str = sys.executable) -> dict[str, str]:
    """By case: what its processes used of the difference; empty where the same code ran."""
    jobs: list[tuple[str, str]] = []
    evidence: dict[str, Mapping[str, Path]] = {}
    diffs = {}
    for number, case in enumerate(cases):
        roots = {side: folder / f"{number}" / side for side in ("base", "head")}
        _write(roots["base"], {**SHARED, **case.base})
        _write(roots["head"], {**SHARED, **case.base, **case.head})
        for name in case.removed:
            (roots["head"] / name).unlink()
        for name in case.executable:
            (roots["head"] / name).chmod(0o755)
        for name, targets in case.links.items():
            for root, target in zip(roots.values(), targets, strict=True):
                (root / name).symlink_to(target)
        diffs[case.name] = diff = diff_sides(roots["base"], roots["head"])
        evidence[case.name] = roots
        for side, root in roots.items():
            request = folder / f"{number}" / f"{side}.request"
            write_request(request, root, diff, folder / f"{number}" / f"{side}.json")
            jobs.append((str(root), str(request)))
    listed = folder / "jobs.json"
    listed.write_text(json.dumps(jobs))
    agent = install_agent(folder)
    subprocess.run([python, "-B", str(DRIVER), str(agent), str(listed)], check=True, timeout=600)
    return {
        name: _use(folder / str(number), diffs[name], evidence[name]) for number, name in enumerate(evidence)
    }


def _use(folder: Path, diff: object, roots: Mapping[str, Path]) -> str:
    errors = [path.read_text() for path in sorted(folder.glob("*.error"))]
    assert not errors, errors[0]
    found = {side: read_recording(folder / f"{side}.json") for side in roots}
    pair = PairEvidence(
        diff=diff,  # type: ignore[arg-type]
        recordings={side: recording for side, recording in found.items() if recording is not None},
        roots=roots,
    )
    return pair.common_use() or pair.use_by("test") or pair.all_uses()


def _write(root: Path, files: Files) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
