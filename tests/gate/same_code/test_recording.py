"""A recording may hold anything, because code of the gated project can write it: then nothing is proven."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from perfsuite.gate.same_code.proof import NOT_RECORDED, PairEvidence
from perfsuite.gate.same_code.recording import COMMON, Recording, read_recording
from perfsuite.gate.same_code.side_diff import diff_sides

SCOPE: dict[str, Any] = {
    "uses": [["file", "x.txt was read"]],
    "uses_scopes": ["conftest"],
    "compilers": [],
    "ran": [["toy.py", 1, "run"]],
    "mentions": [["getattr", "global", "toy.py"]],
    "lookups": [["toy.py", 1, "run"]],
    "digest": "0",
}
DOCUMENT: dict[str, Any] = {
    "scopes": {COMMON: SCOPE},
    "loaded": ["toy.py"],
    "facts": {"Python": "3.12"},
    "loads": ["toy"],
    "unseen_loads": [],
    "import_hooks": ["beartype"],
    "modules": {"toy.py": ["toy"]},
    "class_problems": [["toy.py", "C", "the metaclass M may look through C"]],
}
WRONG: list[Any] = [
    None,
    5,
    float("inf"),
    "text",
    [],
    [[]],
    [None],
    {"a": 1},
    [["toy.py", float("inf"), "run"]],
]


def read(folder: Path, document: Any) -> Recording | None:
    path = folder / "recording.json"
    path.write_text(json.dumps(document))
    return read_recording(path)


def test_a_recording_is_read(tmp_path: Path) -> None:
    recording = read(tmp_path, DOCUMENT)
    assert recording is not None
    assert recording.scopes[COMMON].ran == (("toy.py", 1, "run"),)
    assert recording.loaded == {"toy.py"}
    assert recording.facts == {"Python": "3.12"}


@pytest.mark.parametrize("place", [*DOCUMENT, *SCOPE])
def test_a_recording_of_another_shape_is_none_or_harmless(tmp_path: Path, place: str) -> None:
    refused = 0
    for value in WRONG:
        document = copy.deepcopy(DOCUMENT)
        (document if place in DOCUMENT else document["scopes"][COMMON])[place] = value
        recording = read(tmp_path, document)
        refused += recording is None
        if recording is not None:
            evidence(tmp_path, recording).all_uses()
    assert refused >= 4


@pytest.mark.parametrize("text", [b"", b"[" * 100_000, b"\xff", b"[]", b"5", b'{"scopes": {"a": 1}}'])
def test_what_is_no_recording_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "recording.json").write_bytes(text)
    assert read_recording(tmp_path / "recording.json") is None
    assert read_recording(tmp_path / "absent.json") is None
    assert read_recording(tmp_path) is None


def evidence(folder: Path, head: Recording) -> PairEvidence:
    """The evidence of a pair whose head has one more function."""
    roots = {side: folder / side for side in ("base", "head")}
    for root, more in zip(roots.values(), ("", "def more(): return 2\n"), strict=True):
        root.mkdir(exist_ok=True)
        (root / "toy.py").write_text("def run(): return 1\n" + more)
    base = read(folder, DOCUMENT)
    assert base is not None
    return PairEvidence(
        diff=diff_sides(roots["base"], roots["head"]), recordings={"base": base, "head": head}, roots=roots
    )


def head_of(folder: Path, facts: dict[str, str] | None = None, **scope: Any) -> Recording:
    document = copy.deepcopy(DOCUMENT)
    nothing: dict[str, Any] = {key: [] for key in ("uses", "uses_scopes", "ran", "mentions", "lookups")}
    document["scopes"][COMMON] |= nothing | scope
    recording = read(folder, document | ({} if facts is None else {"facts": facts}))
    assert recording is not None
    return recording


@pytest.mark.parametrize("facts", [{}, {"Python": "3.13"}, {"other": "3.12"}])
def test_facts_that_a_side_leaves_out_differ(tmp_path: Path, facts: dict[str, str]) -> None:
    assert evidence(tmp_path, head_of(tmp_path, facts)).common_use() == "Python differs between the sides"


@pytest.mark.parametrize("file", ["absent.py", "../../etc/passwd", "/etc/passwd", "."])
def test_a_lookup_in_a_file_that_is_not_there_counts_as_a_use(tmp_path: Path, file: str) -> None:
    found = uses(tmp_path, head_of(tmp_path, lookups=[[file, 1, "run"]]))
    assert found == [f"{file}:1 may look up names of toy.py, which differ"]
    assert not uses(tmp_path, head_of(tmp_path, lookups=[["toy.py", 1, "run"]]))  # it computes no name


def uses(folder: Path, recording: Recording) -> list[str]:
    return list(evidence(folder, recording)._uses_in_scope("head", recording.scopes[COMMON]))


def test_a_side_without_a_recording_proves_nothing(tmp_path: Path) -> None:
    pair = evidence(tmp_path, head_of(tmp_path))
    alone = PairEvidence(diff=pair.diff, recordings={"base": pair.recordings["base"]}, roots=pair.roots)
    assert alone.common_use() == alone.use_by("test") == NOT_RECORDED
