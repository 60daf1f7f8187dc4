"""A sweep as it is shown and as figures, on invented turns."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from perfsuite.advise.sweep.results import CoreUse, HostMemory, LoaderSetting, SettingResult, SweepReport
from perfsuite.advise.sweep.terminal import print_sweep, sweep_to_dict


def invented(blocks: int, **more: object) -> SweepReport:
    def seen(workers: int, engine: str, seconds: float) -> SettingResult:
        noise = tuple(1 + 0.01 * (block % 3) for block in range(blocks))
        return SettingResult(
            LoaderSetting(workers, 2, engine),
            tuple(seconds * one for one in noise),
            tuple(seconds / 1.27 * one for one in noise),
            batch_seconds=(0.0281, 0.1245, 0.018) * 40,
            first_batch_seconds=(0.0912,) * blocks,
            core_use=CoreUse(0.93, 15.21),
            memory=HostMemory(19_267_840, 154_400_000, 1_544_000_000),
        )

    settings = (seen(0, "inline", 0.0183), seen(4, "processes", 0.00157), seen(8, "subprocess", 0.00118))
    return SweepReport(32, settings, "moderate", **more)  # type: ignore[arg-type]


def shown(sweep: SweepReport) -> str:
    out = StringIO()
    print_sweep(sweep, Console(file=out, width=80, highlight=False))
    return out.getvalue()


def test_eighty_columns_hold_every_setting_on_one_line_of_each_table() -> None:
    lines = shown(invented(8)).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith((" 8 subprocess +2", "8 subprocess +2"))]
    assert len(rows) == 3
    rates, waits, used = (row.split() for row in rows)
    assert rates[3:5] == ["839", "831-847"]
    assert rates[-2:] == ["the", "knee"]
    assert waits[3:6] == ["18.0", "56.9", "124"]
    assert used[3:5] == ["0.93", "15.21"]


def test_what_was_broken_off_says_so() -> None:
    assert "broken off" in shown(invented(3, is_complete=False))
    assert "broken off" not in shown(invented(8))


@pytest.mark.parametrize("blocks", [1, 8])
def test_figures_are_strict_json_with_null_for_what_is_not_known(blocks: int) -> None:
    found = json.loads(json.dumps(sweep_to_dict(invented(blocks)), allow_nan=False))
    ends = found["settings"][0]["images_per_second"]["interval"]
    assert (ends["low"] is None) == (blocks == 1)
    assert found["choice"]["workers"] == (0 if blocks == 1 else 8)
    assert [one["standing"] for one in found["settings"]][-1] == "as fast"
