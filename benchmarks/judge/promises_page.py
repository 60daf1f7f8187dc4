"""The page docs/results/promises.md, from the counts that promises.py wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import beta

from perfsuite.report.markdown_table import markdown_table

PREVIOUS_RULE = "5 against 5, in turns, the rule before"

Row = Mapping[str, Any]

_HEAD = """# Do the stated chances of error hold?

Made by `python -m benchmarks.judge.promises table` from the counts beside this page (`promises/*.json`),
which its commands `errors`, `power`, `limits` and `detectable` wrote. Noise is invented
(`benchmarks/judge/noise.py`) or recorded from equal code, so the truth is known. Ranges are
Clopper-Pearson intervals of 95 %. [methods.md](../methods.md) says what each promise rests on.
"""


def render(results: Mapping[str, Sequence[Row]]) -> str:
    parts = [_HEAD]
    for name, section in (
        ("errors", _errors),
        ("power", _power),
        ("limits", _limits),
        ("detectable", _detectable),
    ):
        parts.append(section(results[name]) if results.get(name) else "")
    return "\n".join(part for part in parts if part)


def share(count: int, total: int) -> str:
    """A share with its interval.

    >>> share(8, 1000)
    '0.8 % (0.3-1.6)'
    """
    low = beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    return f"{count / total:.1%}".replace("%", " %") + f" ({100 * low:.1f}-{100 * high:.1f})"


def _errors(rows: Sequence[Row]) -> str:
    table = (
        (
            row["shape"],
            row["setting"].replace("the rule before", "previous rule"),
            total,
            share(row["alarms"], total),
            share(row["improvements"], total),
            f"{row['all_unclear'] / total:.0%}",
        )
        for row in rows
        for total in [row["comparisons"]]
    )
    columns = ("noise", "runs", "comparisons", "false alarms", "false improvements", "unclear")
    lines = (
        "## `compare` on equal code: any false alarm among 20 workloads",
        "",
        "Promised: at most 1 %. No tolerance, so that nothing but the test holds false alarms down.",
        "`unclear` is the share of comparisons with no verdict on any workload. The previous rule",
        "(Student's t with a trimmed spread) is the negative control.",
        "",
        markdown_table(columns, table, numeric=range(2, 6)),
        "",
    )
    return "\n".join(lines)


def _power(rows: Sequence[Row]) -> str:
    table = []
    for row in rows:
        taken = row["suites"] - row["referred_to_gate"]
        found = share(row["found"], taken) if taken else "-"
        accused = share(row["others_accused"], taken) if taken else "-"
        runs = f"{row['median_runs']:.0f}" if taken else "-"
        table.append((row["shape"], row["suites"], row["referred_to_gate"], runs, found, accused))
    columns = (
        *("noise", "suites", "referred to the gate", "runs of each side (median)"),
        *("found", "another reported"),
    )
    lines = (
        "## A planted 10 %, with the number of runs that `compare` asked for",
        "",
        "Five runs of each side of equal code; `compare` says how many more it needs to detect 5 % in",
        "every one of 20 workloads, or that runs differ too much and the gate should be used. Then",
        "that many fresh runs, with one workload 10 % slower.",
        "",
        markdown_table(columns, table, numeric=range(1, 6)),
        "",
    )
    return "\n".join(lines)


def _limits(rows: Sequence[Row]) -> str:
    counts = (
        *("broken_at_truth", "broken_beyond"),
        *("broken_at_truth_unconfirmed", "broken_at_truth_if_independent"),
    )
    table = (
        (row["shape"], row["runs"], *(share(row[count], row["runs"]) for count in counts)) for row in rows
    )
    columns = (
        *("noise", "runs", "broken at the truth", "broken 5 % beyond it"),
        *("at the truth, not measured again", "the same, taken as independent"),
    )
    lines = (
        "## Limits: broken at the truth, and 5 % beyond it",
        "",
        "1,000 rounds of 10 ms with looks at 50, 75, 113 ... rounds. A neighbor is another process that",
        "comes and goes: it makes rounds 20 % slower, half of the time, for as many rounds on average as the",
        "table says. Being 5 % beyond the bound does not show against that. What is broken is measured twice",
        "more, each time after a pause of 500 rounds. The last two columns are the negative controls: the",
        "first measurement alone, and its interval for independent rounds.",
        "",
        markdown_table(columns, table, numeric=range(1, 6)),
        "",
    )
    return "\n".join(lines)


def _detectable(rows: Sequence[Row]) -> str:
    table = (
        (
            row["shape"],
            row["gates"],
            f"{row['median_pairs']:.0f}",
            f"{100 * row['median_mde']:.1f} %",
            share(row["found"], row["gates"]),
            share(row["found_of_kept"], row["kept"]) if row["kept"] else "-",
            "" if row["is_promised"] else "not promised",
        )
        for row in rows
    )
    columns = ("noise", "gates", "pairs", "MDE", "found", "found, of those kept", "")
    lines = (
        "## The MDE that a gate prints, planted in that gate's own pairs",
        "",
        "Promised: found nine times in ten; at least 88 % for each shape that shows in the pairs. Four pairs",
        "of equal speed end a workload as kept. A process in five that is slow for its whole life leaves one",
        "workload in five with four such pairs, and nothing in them shows it: for such noise the printed MDE",
        "is a lower bound, and `not promised`.",
        "",
        markdown_table(columns, table, numeric=range(1, 6)),
        "",
    )
    return "\n".join(lines)
