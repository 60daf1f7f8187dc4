"""Markdown: fits a comment, and no text breaks out of its cell, mentions or links anything."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats import markdown
from tests.report.sample_reports import make_comparison, make_gate_report, make_verdict, many_regressed

COMMENT_BYTES = 64 * 1024


def table_rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out_of_its_cell(workload: str, metric: str, reason: str) -> None:
    verdict = make_verdict(workload, Outcome.REGRESSED, 0.1, metric=metric, reason=reason or "x")
    rows = table_rows(markdown.render(make_comparison([verdict])))
    assert len(rows) == 3
    assert rows[-1].count("|") == 8
    text = rows[-1]
    for ours in ("**regressed**", "<code>", "</code>", "<!-- -->"):
        text = text.replace(ours, "")
    assert not set("<>`*_[]\\!~\x1b") & set(text)


LINKS = re.compile(r"@\w|#\d|https?://|mailto:|xmpp:|\bwww\.|\bGH-", re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    ["@team", "fixes #1", "https://evil.example", "www.evil.example", "a@b.org", "mailto:x", "GH-12", "gh-3"],
)
def test_no_text_mentions_a_person_or_links_an_issue_or_an_address(text: str) -> None:
    assert LINKS.search(text), "the pattern recognizes what it must not find"
    verdict = make_verdict(text, Outcome.REGRESSED, reason=text, metric=text)
    rendered = markdown.render(make_comparison([verdict], sides=[text], warnings=[text]))
    assert LINKS.search(html.unescape(rendered)) is None


def test_kept_workloads_are_folded_and_notes_are_quoted() -> None:
    verdicts = [make_verdict(f"test_{outcome}", outcome) for outcome in (Outcome.REGRESSED, Outcome.KEPT)]
    verdicts.append(make_verdict("test_too", Outcome.KEPT))
    text = markdown.render(make_comparison(verdicts, warnings=["kernel differs"]))
    assert "<details><summary>2 kept</summary>" in text
    assert "> kernel differs" in text


@pytest.mark.parametrize("number", [1, 100, 3000])
def test_a_report_fits_a_comment_and_counts_the_rows_left_out(number: int) -> None:
    verdicts = [make_verdict(f"test_{n}", Outcome.REGRESSED) for n in range(number)]
    for report in (many_regressed(number), make_comparison(verdicts)):
        text = markdown.render(report)
        assert len(text.encode()) <= COMMENT_BYTES
        assert f"{number} regressed" in text
        if number == 3000:
            (left_out,) = re.findall(r"and (\d+) more", text)
            assert len(table_rows(text)) - 3 + int(left_out) == number


def test_notes_beyond_twenty_are_counted() -> None:
    text = markdown.render(make_comparison([], warnings=[f"note {n}" for n in range(25)]))
    assert "> note 19\n" in text
    assert "> note 20\n" not in text
    assert "> and 5 more notes\n" in text


def test_the_first_line_marks_the_comment_for_a_later_run() -> None:
    assert markdown.render(make_gate_report()).startswith("<!-- perfsuite gate -->\n")
