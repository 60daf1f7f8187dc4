"""Draw docs/gate.svg: what `perfsuite gate` says of a change that makes one workload of eight 5 % slower.

    python benchmarks/gate/picture.py

A real gate, run now (two minutes, and two more to weigh what is planted); only its words are drawn.
"""

from __future__ import annotations

import io
from pathlib import Path

from proof import PLANTED_STAGE, calibrate, project
from rich.console import Console
from rich.terminal_theme import MONOKAI

from perfsuite.cli.gate import repeat
from perfsuite.gate.gate import gate
from perfsuite.gate.settings import Settings
from perfsuite.report import gate_terminal

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "gate.svg"
PLANTED, PERCENT = "decode", 5
WIDTH = 108
# rich's own frame names a font on a server; a picture in a README must need nobody.
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
    grains = round(PERCENT * calibrate()[PLANTED])
    settings = Settings(base="HEAD~1", head="HEAD")
    with project({f"{PLANTED}.{PLANTED_STAGE[PLANTED]}": grains}) as place:
        report = gate(settings, place, repeat(settings), print)
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    gate_terminal.show(report, console)
    title = f"perfsuite gate: {PERCENT} % planted in {PLANTED}"
    PICTURE.write_text(console.export_svg(title=title, theme=MONOKAI, code_format=FRAME, unique_id="gate"))
    print(f"{report.headline}; wrote {PICTURE.name}")


if __name__ == "__main__":
    main()
