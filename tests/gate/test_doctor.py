"""The doctor on invented machines."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from perfsuite.cli import main
from perfsuite.gate import doctor, machine_checks
from perfsuite.gate.doctor import PAIRS_SHOWN, PROBE_WORKLOADS, sensitivity
from perfsuite.gate.machine_checks import MachineCheck
from tests.measure.fake_nvml import FakeCard, FakeNvml

QUIET = list(np.random.default_rng(1).normal(0, 0.005, 12))


def test_more_pairs_detect_smaller_slowdowns() -> None:
    decode = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01)
    assert list(decode.effects) == list(PAIRS_SHOWN)
    assert decode.effects[20].mde < decode.effects[12].mde < 0.05


def test_six_pairs_cannot_promise_one_percent() -> None:
    decode = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01)
    assert [effect.alpha for effect in decode.effects.values()] == [2.0**-6, 0.01, 0.01]


def test_a_noisier_machine_detects_less() -> None:
    noisy = sensitivity("decode", [10 * ratio for ratio in QUIET], alpha=0.01, tolerance=0.01)
    assert noisy.effects[12].mde > sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01).effects[12].mde


def test_the_mde_includes_the_error_of_each_pair() -> None:
    uncertain = sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01, pair_error=0.05)
    assert (
        uncertain.effects[12].mde
        > 2 * sensitivity("decode", QUIET, alpha=0.01, tolerance=0.01).effects[12].mde
    )


def test_pairs_that_scatter_more_need_more_of_them_for_two_percent() -> None:
    quiet, uneasy, wild = (
        sensitivity("decode", [factor * ratio for ratio in QUIET], alpha=0.01, tolerance=0.01).small_mde_pairs
        for factor in (1, 2, 20)
    )
    assert quiet is not None
    assert uneasy is not None
    assert quiet < uneasy
    assert wild is None


@pytest.mark.parametrize(("end", "pairs"), [(0.0, 2), (30.0, 3), (39.0, 3), (math.inf, 6)])
def test_no_pair_begins_that_would_end_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: float, pairs: int
) -> None:
    now, messages = [0.0], list[str]()

    def run(nodes: object) -> SimpleNamespace:
        now[0] += 10.0
        return SimpleNamespace(workload_turns=(), first_side="base")

    runner = nullcontext(SimpleNamespace(run=run))
    monkeypatch.setattr(doctor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(doctor, "open_pair_runner", lambda *_: runner)
    monkeypatch.setattr(doctor, "collect_suites", lambda _: SimpleNamespace(nodes=lambda side: []))
    assert doctor._run_null_pairs(tmp_path, 6, end, messages.append) == ([], 10.0)
    assert now == [10.0 * pairs]
    spent = f"the time budget is spent after {pairs} of 6 null pairs"
    assert (messages[-1] == spent) == (pairs < 6)


def test_the_probe_has_three_benchmarks() -> None:
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
    ("check", "files", "observed", "is_disturbance"),
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
def test_each_disturbance_is_reported_with_a_remedy(
    tmp_path: Path,
    check: Callable[[Path], MachineCheck],
    files: dict[str, str],
    observed: str,
    is_disturbance: bool,
) -> None:
    result = check(sys_with(tmp_path, files))
    assert result.observed == observed
    assert result.is_disturbance is is_disturbance


@pytest.mark.parametrize(
    ("own", "now", "observed", "is_disturbance"),
    [
        (8.0, "", "0 % of the time; busy now: none", False),
        (8.0, "make 90 %", "0 % of the time; busy now: make 90 %", True),
        (5.0, "", "30 % of the time; busy now: none", True),
    ],
)
def test_time_of_other_processes_is_reported_even_if_they_are_idle_now(
    own: float, now: str, observed: str, is_disturbance: bool
) -> None:
    before = {"user": 10.0, "idle": 1.0, "own": 2.0}
    result = machine_checks.check_other_processes(before, {"user": 18.0, "idle": 3.0, "own": 2.0 + own}, now)
    assert result.observed == observed
    assert result.is_disturbance is is_disturbance


def test_checks_run_on_this_machine() -> None:
    before = machine_checks.cpu_seconds()
    names = {check.name for check in machine_checks.run_checks(before, machine_checks.cpu_seconds())}
    assert {"steal time", "other processes", "governor"} <= names


def test_an_interrupted_doctor_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "diagnose", interrupt)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err.startswith("perfsuite doctor: interrupted; a diagnosis needs every pair")


def test_steal_time_is_a_share_of_all_time() -> None:
    before, after = {"user": 10.0, "steal": 1.0}, {"user": 19.0, "steal": 2.0}
    result = machine_checks.check_steal_time(before, after)
    assert result.observed == "10.0 % of the time"
    assert result.is_disturbance
    assert not machine_checks.check_steal_time(before, before).is_disturbance


def gpu_checks(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> dict[str, MachineCheck]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine_checks, "load_nvml", lambda: nvml)
    return {check.name: check for check in machine_checks.check_gpu()}


def test_a_gpu_of_its_own_is_no_disturbance(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = gpu_checks(monkeypatch, FakeNvml([FakeCard("GPU-1")]))
    assert {name: check.observed for name, check in checks.items()} == {
        "GPU clock": "1980 of 1980 MHz",
        "GPU temperature": "61 °C",
        "GPU throttling": "none",
        "GPU processes": "none",
    }
    assert not any(check.is_disturbance for check in checks.values())


def test_throttling_and_other_processes_disturb(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = gpu_checks(monkeypatch, FakeNvml([FakeCard("GPU-1", throttle_bits=4, processes=(71, 70))]))
    disturbances = {name: check.observed for name, check in checks.items() if check.is_disturbance}
    assert disturbances == {"GPU throttling": "power cap", "GPU processes": "70, 71"}


def test_a_gpu_that_cannot_be_read_disturbs(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = gpu_checks(monkeypatch, FakeNvml(answers=1))["GPU"]
    assert (lost.observed, lost.is_disturbance) == ("NVML: GPU is lost", True)
    monkeypatch.setattr(machine_checks, "nvml_problem", lambda: "NVML: Driver Not Loaded")
    unread = gpu_checks(monkeypatch, None)["GPU"]
    assert (unread.observed, unread.is_disturbance) == ("NVML: Driver Not Loaded", True)
    monkeypatch.setattr(machine_checks, "nvml_problem", lambda: "")
    absent = gpu_checks(monkeypatch, None)["GPU"]
    assert (absent.observed, absent.is_disturbance) == ("none", False)
