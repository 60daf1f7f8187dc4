"""What the doctor says of invented machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perfsuite.cli import main
from perfsuite.gate import doctor, machine_checks
from perfsuite.gate.doctor import PAIRS_SHOWN, PROBE_WORKLOADS, sensitivity

QUIET = list(np.random.default_rng(1).normal(0, 0.005, 12))


def test_more_pairs_see_more() -> None:
    found = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01)
    assert list(found.effects) == list(PAIRS_SHOWN)
    assert found.effects[20].mde < found.effects[12].mde < 0.05


def test_six_coins_cannot_promise_one_percent() -> None:
    found = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01)
    assert [effect.alpha for effect in found.effects.values()] == [2.0**-6, 0.01, 0.01]


def test_a_restless_machine_sees_less() -> None:
    restless = sensitivity("decode", [10 * ratio for ratio in QUIET], alpha=0.01, tolerance=0.01)
    assert restless.effects[12].mde > sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01).effects[12].mde


def test_what_turns_do_not_tell_is_not_promised() -> None:
    blurred = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01, pair_error=0.05)
    assert (
        blurred.effects[12].mde > 2 * sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01).effects[12].mde
    )


def test_its_three_workloads_are_benchmarks() -> None:
    text = PROBE_WORKLOADS.read_text()
    compile(text, "test_doctor.py", "exec")
    assert text.count("def test_") == 3


def sys_with(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


CPU = "devices/system/cpu"


@pytest.mark.parametrize(
    ("look", "files", "found", "disturbs"),
    [
        (
            machine_checks.check_governor,
            {f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n"},
            "powersave",
            True,
        ),
        (
            machine_checks.check_governor,
            {f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n"},
            "performance",
            False,
        ),
        (machine_checks.check_governor, {}, "not visible (usually a virtual machine)", False),
        (machine_checks.check_turbo, {f"{CPU}/intel_pstate/no_turbo": "0"}, "on", True),
        (machine_checks.check_turbo, {f"{CPU}/intel_pstate/no_turbo": "1"}, "off", False),
        (machine_checks.check_turbo, {f"{CPU}/cpufreq/boost": "1"}, "on", True),
        (machine_checks.check_turbo, {}, "not visible", False),
        (machine_checks.check_temperature, {"class/thermal/thermal_zone0/temp": "91000"}, "91 °C", True),
        (machine_checks.check_temperature, {"class/thermal/thermal_zone0/temp": "41000"}, "41 °C", False),
        (
            machine_checks.check_temperature,
            {"class/thermal/thermal_zone0/temp": "broken"},
            "not visible",
            False,
        ),
    ],
)
def test_what_disturbs_is_told_with_a_cure(
    tmp_path: Path, look: object, files: dict[str, str], found: str, disturbs: bool
) -> None:
    fact = look(sys_with(tmp_path, files))  # type: ignore[operator]
    assert fact.observed == found
    assert fact.is_disturbance is disturbs


@pytest.mark.parametrize(
    ("own", "now", "found", "disturbs"),
    [
        (8.0, "", "0 % of the time; busy now: none", False),
        (8.0, "make 90 %", "0 % of the time; busy now: make 90 %", True),
        (5.0, "", "30 % of the time; busy now: none", True),
    ],
)
def test_what_others_took_is_told_though_they_rest_now(
    own: float, now: str, found: str, disturbs: bool
) -> None:
    before = {"user": 10.0, "idle": 1.0, "own": 2.0}
    fact = machine_checks.check_other_processes(before, {"user": 18.0, "idle": 3.0, "own": 2.0 + own}, now)
    assert fact.observed == found
    assert fact.is_disturbance is disturbs


def test_two_readings_of_this_machine_make_shares() -> None:
    before = machine_checks.cpu_seconds()
    facts = {fact.name for fact in machine_checks.run_checks(before, machine_checks.cpu_seconds())}
    assert {"steal time", "other processes", "governor"} <= facts


def test_interrupted_it_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "diagnose", interrupt)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err.startswith("perfsuite doctor: interrupted; nothing can be said")


def test_stolen_time_is_a_share_of_all_time() -> None:
    before, after = {"user": 10.0, "steal": 1.0}, {"user": 19.0, "steal": 2.0}
    fact = machine_checks.check_steal_time(before, after)
    assert fact.observed == "10.0 % of the time"
    assert fact.is_disturbance
    assert not machine_checks.check_steal_time(before, before).is_disturbance
