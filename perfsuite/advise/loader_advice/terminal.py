"""Print the advice at 80 columns: what was measured first, the verdict and what to set last."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsuite.advise.bottleneck.diagnosis import stage_shares
from perfsuite.advise.loader_advice import words
from perfsuite.advise.loader_advice.result import LoaderAdvice, mode_rows
from perfsuite.advise.sweep.goals import check_goals
from perfsuite.advise.sweep.report import RelativeSpeed
from perfsuite.advise.sweep.setting_result import SettingResult
from perfsuite.advise.sweep.terminal import (
    SPEED_STYLES,
    format_ends,
    make_table,
    print_resources,
    wait_table,
)
from perfsuite.advise.tuning.tune import Race
from perfsuite.judge.units import format_significant
from perfsuite.report.terminal.run_table import OUTCOME_STYLES

BAR_WIDTH = 30


def print_advice(advice: LoaderAdvice, console: Console, settings_file: str | None = None) -> None:
    for race in advice.tuning.races:
        console.print(f"{words.RACE_TITLES[race.subject]}; {race.report.blocks} blocks of turns")
        console.print(_race_table(race))
    rows = mode_rows(advice)
    if rows:
        console.print("The pipeline with one thing left out at a time, in the same turns")
        console.print(_mode_table(advice))
    if advice.times is not None and advice.times.stage_seconds:
        console.print("Stages of loading an image on one core")
        console.print(_stage_table(advice.times.stage_seconds))
    if advice.pipeline is not None:
        console.print("Waiting for a batch, in ms; the first batch of each turn in its own column")
        console.print(wait_table(advice.pipeline))
        print_resources(advice.pipeline, console)
    for verdict in check_goals(advice.report, advice.result):
        console.print(
            Text(f"{verdict.outcome}: ", style=OUTCOME_STYLES[verdict.outcome]) + Text(verdict.reason)
        )
    console.print()
    _print_conclusion(advice, console, settings_file)


def _print_conclusion(advice: LoaderAdvice, console: Console, settings_file: str | None) -> None:
    for line in words.further_lines(advice):
        console.print(Text(f"note: {line}"))
    for line in (*words.resource_lines(advice), *words.estimate_lines(advice)):
        console.print(Text(line))
    console.print()
    for line in words.verdict_lines(advice):
        console.print(Text(line, style="" if line.startswith(" ") else "bold"))
    console.print(Text(words.knee_line(advice)))
    for line in words.setting_lines(advice, settings_file):
        console.print(Text(line, style="bold" if line.startswith("set ") else ""))
    if not advice.is_complete:
        console.print("interrupted: these are the results until then")


def _race_table(race: Race) -> Table:
    table = make_table("images/s", "99 %", "times", "")
    chosen = race.winner
    for result in race.report.results:
        rate, speed = result.images_per_second, race.report.relative_speed(result)
        table.add_row(
            result.setting.label,
            format_significant(rate.value),
            format_ends(rate, format_significant),
            f"{race.report.speedup(result).value:.2f}",
            Text(_outcome(result, speed, result is chosen), style=SPEED_STYLES[speed]),
        )
    return table


def _outcome(result: SettingResult, speed: RelativeSpeed, is_chosen: bool) -> str:
    if is_chosen:
        return "chosen"
    return (
        f"slower, stopped after {len(result.seconds_per_image)} blocks" if result.is_stopped else str(speed)
    )


def _mode_table(advice: LoaderAdvice) -> Table:
    table = make_table("images/s", "99 %", "to advised")
    table.columns[0].header = ""
    for row in mode_rows(advice):
        ends = format_ends(row.rate, format_significant)
        table.add_row(row.name, format_significant(row.rate.value), ends, f"{row.relative:.2f}x")
    return table


def _stage_table(stage_seconds: Mapping[str, float]) -> Table:
    table = make_table("share", "images/s", "")
    table.columns[0].header = "stage"
    table.columns[-1].justify = "left"
    for name, share in stage_shares(stage_seconds):
        rate = format_significant(1 / stage_seconds[name])
        table.add_row(name, f"{share:.0%}", rate, "█" * round(BAR_WIDTH * share))
    return table
