"""The page of results, written anew after each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.gpu_proof.runner import StageResult
from benchmarks.gpu_proof.stage import Stage
from perfsuite.report.markdown_table import escape_cell, markdown_table


def render_summary(facts: Mapping[str, str], results: Sequence[StageResult], left: Sequence[Stage]) -> str:
    """Markdown: the machine, then a table for each stage, then the stages that have not run."""
    lines = ["# GPU results", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    for result in results:
        lines += [f"## {result.stage.title}", ""]
        took = f"{result.seconds:.0f} s of at most {result.stage.limit_seconds} s"
        lines += [f"{took}; **{escape_cell(result.problem)}**" if result.problem else took, ""]
        if result.rows:
            rows = (map(escape_cell, (row.what, row.value, row.note)) for row in result.rows)
            lines += [markdown_table(("what", "result", "note"), (tuple(cells) for cells in rows)), ""]
    lines += [f"- not run: {stage.title}" for stage in left]
    return "\n".join(lines).rstrip() + "\n"
