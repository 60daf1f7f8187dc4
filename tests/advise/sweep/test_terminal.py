"""A sweep printed and as JSON, on invented turns."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from perfsuite.advise.machine import MachineFacts
from perfsuite.advise.sweep.json_ import sweep_to_dict
from perfsuite.advise.sweep.loader_setting import LoaderSetting
from perfsuite.advise.sweep.report import SweepReport
from perfsuite.advise.sweep.setting_result import CoreUse, HostMemory, SettingResult
from perfsuite.advise.sweep.terminal import print_sweep


def invented(blocks: int, **more: object) -> SweepReport:
    def setting_result(workers: int, engine: str, seconds: float) -> SettingResult:
        noise = tuple(1 + 0.01 * (block % 3) for block in range(blocks))
        return SettingResult(
            LoaderSetting(workers, 2, engine),
            tuple(seconds * factor for factor in noise),
            {
                "aggressive": tuple(seconds * 1.2 * factor for factor in noise),
                "none": tuple(seconds / 1.486 * factor for factor in noise),
            },
            batch_seconds=(0.0281, 0.1245, 0.018) * 40,
            first_batch_seconds=(0.0912,) * blocks,
            core_use=CoreUse(0.93, 15.21),
            memory=HostMemory(19_267_840, 154_400_000, 1_544_000_000, 900_000_000 if workers else None),
        )

    settings = (
        setting_result(0, "inline", 0.0183),
        setting_result(4, "processes", 0.00157),
        setting_result(8, "subprocess", 0.00118),
    )
    machine = MachineFacts(platform="linux", cores=32, available_bytes=16 * 2**30, start_method="fork")
    return SweepReport(32, settings, "moderate", images_per_epoch=17_909, machine=machine, **more)  # type: ignore[arg-type]


def printed(sweep: SweepReport) -> str:
    out = StringIO()
    print_sweep(sweep, Console(file=out, width=80, highlight=False))
    return out.getvalue()


def test_each_setting_has_one_line_of_80_columns_in_each_table() -> None:
    lines = printed(invented(8)).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith((" 8 subprocess +2", "8 subprocess +2"))]
    assert len(rows) == 7
    rates, waits, used = (rows[index].split() for index in (0, 4, 5))
    assert rates[3:5] == ["839", "831-847"]
    assert rates[-2:] == ["the", "knee"]
    assert waits[3:6] == ["18.0", "56.9", "124"]
    assert used[3:6] == ["0.93", "15.21", "50%"]
    assert rates[7] == "21"  # seconds for 17,909 images


@pytest.mark.parametrize(("peak", "shown"), [(None, ["-"]), (3 * 2**30, ["3.00", "GiB"])])
def test_memory_is_that_of_batches_workers_and_the_device(peak: int | None, shown: list[str]) -> None:
    report = invented(8, step_seconds_per_image=(0.003,) * 8, device_peak_bytes=peak)
    lines = printed(report).splitlines()
    (inline,) = (line.split() for line in lines if "0 inline" in line and "GiB" in line)
    (workers,) = (line.split() for line in lines if "8 subprocess +2" in line and "GiB" in line)
    assert workers[3:] == ["18.4", "MiB", "147", "MiB", "858", "MiB", "1.44", "GiB", "-"]
    assert inline[2:] == ["18.4", "MiB", "147", "MiB", "-", "1.44", "GiB", "-"]
    (step,) = (line.split() for line in lines if "training step  " in line)
    assert step == ["training", "step", "-", "-", "-", "-", *shown]
    assert sweep_to_dict(report)["device_peak_bytes"] == peak
    assert "training step  " not in printed(invented(8)), "without a model no step was measured"


def test_modes_stand_side_by_side_with_both_definitions_of_overhead() -> None:
    rows = [line.split() for line in printed(invented(8)).splitlines() if "8 subprocess +2" in line]
    moderate, aggressive, plain = rows[1:4]
    # 32.7 % of a batch's time is 48.6 % over the time without augmentation
    assert moderate[3:] == ["moderate", "839", "831-847", "33%", "33-33", "+49%"]
    assert aggressive[3:5] == ["aggressive", "699"]
    assert aggressive[-3:] == ["44%", "44-44", "+78%"]
    assert plain[3:] == ["none", "1,247", "1,235-1,259"]


def test_a_sweep_with_too_few_blocks_says_that_the_time_was_over() -> None:
    assert "the time was over after 3 of the 8 blocks" in printed(invented(3))
    assert "the time was over" not in printed(invented(8))


def test_an_interrupted_sweep_is_printed_as_such() -> None:
    assert "interrupted" in printed(invented(3, is_complete=False))
    assert "interrupted" not in printed(invented(8))


@pytest.mark.parametrize("blocks", [1, 8])
def test_json_is_strict_with_null_for_infinite_ends(blocks: int) -> None:
    figures = json.loads(json.dumps(sweep_to_dict(invented(blocks)), allow_nan=False))
    ends = figures["settings"][0]["images_per_second"]["interval"]
    assert (ends["low"] is None) == (blocks == 1)
    assert figures["choice"]["num_workers"] == (0 if blocks == 1 else 8)
    speeds = [result["relative_speed"] for result in figures["settings"]]
    assert speeds[-1] == ("unclear" if blocks == 1 else "as fast")
    assert figures["settings"][-1]["loading_epoch_seconds"]["value"] == pytest.approx(21.3, abs=0.2)
