"""What a side's process says that it ran, as the proof that both sides run the same code reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perfsuite.gate.same_code.proof import PairEvidence
from perfsuite.gate.same_code.recording import read_recording
from perfsuite.gate.same_code.side_diff import diff_sides
from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import FindingError, Target

SCOPE = {
    "uses": [["file", "x.txt was read"]],
    "uses_scopes": ["common"],
    "compilers": ["torch.compile"],
    "ran": [["toy.py", 1, "run"]],
    "mentions": [["getattr", "global", "toy.py"], ["more", "imported", "toy"]],
    "lookups": [["toy.py", 1, "run"]],
    "digest": "0",
}
RECORDING = {
    "scopes": {"common": SCOPE, "t.py::t": SCOPE},
    "loaded": ["toy.py"],
    "facts": {"Python": "3.12", "the environment variables": "1"},
    "loads": ["toy"],
    "unseen_loads": ["other.toy"],
    "modules": {"toy.py": ["toy"]},
    "import_hooks": ["beartype"],
    "class_problems": [["toy.py", "C", "the metaclass M may look through C"]],
}


def corpus() -> Sequence[bytes]:
    return [json.dumps(RECORDING).encode()]


def try_one(data: bytes, folder: Path) -> None:
    """Base is as it should be, head as it pleases."""
    roots = {side: folder / side for side in ("base", "head")}
    for (side, root), more in zip(roots.items(), ("", "def more(): return 2\n"), strict=True):
        root.mkdir(exist_ok=True)
        (root / "toy.py").write_text("def run(): return 1\n" + more)
        (folder / f"{side}.json").write_bytes(data if side == "head" else corpus()[0])
    found = {side: read_recording(folder / f"{side}.json") for side in roots}
    evidence = PairEvidence(
        diff=diff_sides(roots["base"], roots["head"]),
        recordings={side: recording for side, recording in found.items() if recording is not None},
        roots=roots,
    )
    if not evidence.use_by("t.py::t"):  # base has read a file, whatever head says
        raise FindingError("the same code, expected the use of base to count")
    evidence.common_use()
    evidence.all_uses()


TARGET = Target("recordings", corpus, mutate_json, try_one)
