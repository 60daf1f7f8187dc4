"""Draw docs/gate.svg: the output of `perfsuite gate` where one of eight workloads became 5 % slower.

    python -m benchmarks.gate.terminal_svg

It runs a real gate (two minutes, and two more to calibrate the planted work) and draws its output. On a busy
machine the gate may find less; then nothing is drawn.
"""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from benchmarks.gate.replay import PLANTED_STAGE
from benchmarks.gate.validation import sample_repository, units_per_percent
from perfsuite.cli.gate_options import repro_command
from perfsuite.errors import ExitCode
from perfsuite.gate.gate import gate
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats import terminal
from perfsuite.report.report import report_gate

SVG = Path(__file__).resolve().parents[2] / "docs" / "gate.svg"
PLANTED_WORKLOAD, PERCENT = "decode", 5
WIDTH = 108
RED, DIM_RED = "#f4005f", "#97043d"  # contrasts of 4.7 and 2.3 on the frame's ground
# rich's own frame loads a font from a server; an image in a README must not.
FRAME = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def main() -> None:
    draw(round(PERCENT * units_per_percent()[PLANTED_WORKLOAD]))


def draw(units: int) -> None:
    """Run a gate with so many units of extra work in head, and draw it if it found them and nothing else."""
    settings = GateSettings(base="HEAD~1", head="HEAD", time_everything=True)
    plants = {f"{PLANTED_WORKLOAD}.{PLANTED_STAGE[PLANTED_WORKLOAD]}": units}
    with sample_repository(plants) as project:
        report = gate(settings, project, repro_command(settings), print)
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    terminal.print_to_console(report_gate(report), console)
    found = [workload.name for workload in report.workloads if workload.outcome is not Outcome.KEPT]
    if report.exit_code != ExitCode.REGRESSED or len(found) != 1:
        raise SystemExit(
            f"{SVG.name} is not drawn, its pages show one regressed workload:\n{console.export_text()}"
        )
    title = f"perfsuite gate: {PERCENT} % planted in {PLANTED_WORKLOAD}"
    text = console.export_svg(title=title, theme=MONOKAI, code_format=FRAME, unique_id="gate")
    SVG.write_text(text.replace(DIM_RED, RED))
    print(f"{report.headline}; wrote {SVG.name}")


if __name__ == "__main__":
    main()
