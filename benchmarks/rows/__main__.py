"""Run every row and print id, command, figure and verdict; rows with the same command share its output.

python -m benchmarks.rows --out docs/results/rows.md
python -m benchmarks.rows --quick --only C4 A1
python -m benchmarks.rows --only E2 E3 --out docs/results/rows.md   # the other rows of the page stay
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.rows.commands import SETUP
from benchmarks.rows.row import (
    CommandOutput,
    Row,
    RowResult,
    Runner,
    command_words,
    is_installed,
    run_command,
    run_row,
)
from benchmarks.rows.table import ROW_IDS, rows
from perfsuite import atomic
from perfsuite.measure.environment import detect_environment
from perfsuite.report.markdown_table import markdown_table

SECONDS, QUICK_SECONDS = 60, 10
ROUNDS, QUICK_ROUNDS = 5, 1
LIMIT_SECONDS = 1800.0
ROW_LINE = re.compile(r"^\| ([A-E]\d+) \|.*$", re.MULTILINE)
NOTE_LINE = re.compile(r"^- machine(?P<rows> of [A-E\d, ]+)?: (?P<rest>.*)$", re.MULTILINE)
SCRIPT = "load_epochs.py"
SWEEP_FILE = "image_size = 64\nbatch_size = 16\naugmentation_mode = 'none'\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 where every row that can run here works, 1 where one fails."""
    arguments = _parse(argv)
    seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if arguments.quick else (SECONDS, ROUNDS)
    chosen = [row for row in rows(seconds, rounds) if not arguments.only or row.id in arguments.only]
    is_part = arguments.only and arguments.out is not None and arguments.out.exists()
    earlier = arguments.out.read_text() if is_part else ""
    with tempfile.TemporaryDirectory(prefix="perfsuite-rows-") as folder:
        prepare(Path(folder))
        results = []
        for result in run_rows(chosen, Path(folder), has_gpu()):
            results.append(result)
            print(
                f"{result.row.id}: {result.verdict}: {'; '.join(result.figures) or result.reason}", flush=True
            )
            if arguments.out is not None:  # after each row, so that an interrupted run keeps what it has
                atomic.replace(arguments.out, render_page(results, arguments.quick, earlier).encode())
    return 1 if any(result.has_failed for result in results) else 0


def run_rows(
    chosen: Iterable[Row], folder: Path, with_gpu: bool, run: Runner = run_command
) -> Iterator[RowResult]:
    """The result of each row; a row that fails stops none of the others."""
    outputs: dict[tuple[str, ...], CommandOutput] = {}

    def run_once(words: Sequence[str], where: Path, seconds: float) -> CommandOutput:
        key = tuple(words)
        if key not in outputs:
            outputs[key] = run(words, where, seconds)
        return outputs[key]

    for row in chosen:
        yield run_row(row, folder, LIMIT_SECONDS, with_gpu, run_once)


def prepare(folder: Path) -> None:
    """Make the images, the model, the settings file and the script that the commands use."""
    (folder / "sweep.toml").write_text(SWEEP_FILE)
    shutil.copy(Path(__file__).with_name(SCRIPT), folder)
    for command in SETUP:
        output = run_command(command_words(command), folder, LIMIT_SECONDS)
        if output.exit_code != 0:
            raise SystemExit(f"rows: {command}: exit code {output.exit_code}: {output.text}")


def has_gpu() -> bool:
    if not is_installed("torch"):
        return False
    import torch

    return torch.cuda.is_available()


def render_page(results: Iterable[RowResult], is_quick: bool, earlier: str = "") -> str:
    """The page; every figure on it is cut from what a command printed.

    Rows of the `earlier` page that were not run again stay, with the notes on the runs that they are from.
    """
    results = list(results)
    ids = {result.row.id for result in results}
    head, rule, *new = markdown_table(
        ("id", "what", "command", "figure", "verdict"), map(_cells, results)
    ).split("\n")
    lines = {match[1]: match[0] for match in ROW_LINE.finditer(earlier)}
    lines.update((line.split()[1], line) for line in new)
    return "\n".join(
        [
            "# Every required capability, by the command that shows it\n",
            "Made by `python -m benchmarks.rows --out docs/results/rows.md`. Each figure is cut from what "
            "the command printed in that run, on images made for it.\n",
            *_earlier_notes(earlier, ids),
            _note(sorted(ids, key=ROW_IDS.index), is_quick),
            "",
            head,
            rule,
            *(lines[id_] for id_ in ROW_IDS if id_ in lines),
            "",
        ]
    )


def _note(ids: Sequence[str], is_quick: bool) -> str:
    hard = detect_environment().hard
    kind = "; a quick run: figures without spread" if is_quick else ""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    rows = "" if len(ids) == len(ROW_IDS) else f" of {', '.join(ids)}"
    return (
        f"- machine{rows}: {hard['cpu']}, {hard['cores']} cores, GPU {hard.get('gpu', 'none')}; load average "
        f"at the end {load:.1f}{kind}"
    )


def _earlier_notes(page: str, ids: set[str]) -> Iterator[str]:
    """The notes on runs of which a row is still on the page, with those rows."""
    for match in NOTE_LINE.finditer(page):
        named = re.findall(r"[A-E]\d+", match["rows"]) if match["rows"] else ROW_IDS
        kept = [id_ for id_ in named if id_ not in ids]
        if kept:
            yield f"- machine of {', '.join(kept)}: {match['rest']}"


def _cells(result: RowResult) -> tuple[str, ...]:
    verdict = f"{result.verdict}: {result.reason}" if result.reason else result.verdict
    figures = "<br>".join(_escape(figure) for figure in result.figures)
    command = _escape(result.row.command)
    return result.row.id, result.row.what, f"<code>{command}</code>", figures, _escape(verdict)


def _escape(text: str) -> str:
    flat = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "&#96;")
    return " ".join(flat.replace("|", "&#124;").split())


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rows",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the page, after each row")
    parser.add_argument("--only", nargs="+", choices=ROW_IDS, metavar="ID", help="these rows only")
    parser.add_argument("--quick", action="store_true", help="seconds for each command, not minutes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
