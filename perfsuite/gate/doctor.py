"""What this machine can see: null pairs of three workloads, and the slowdowns that would be found in them."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfsuite.errors import NothingMeasuredError
from perfsuite.gate import machine_checks
from perfsuite.gate.gate import OnProgress
from perfsuite.gate.machine_checks import MachineCheck
from perfsuite.gate.pair_runner import collect_suites, prepare_sides
from perfsuite.gate.settings import GateSettings
from perfsuite.gate.workload_state import WorkloadState
from perfsuite.gate.workspace import gate_workspace
from perfsuite.gate.worktree import Repository
from perfsuite.judge import sequential_rule, sign_flip
from perfsuite.judge.sequential_rule import SequentialRule

PAIRS_SHOWN = (6, 12, 20)
PROBE_PROJECT = {
    "test_doctor.py": """\
import io

import numpy as np
import torch
from PIL import Image

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_decode(benchmark):
    packed = io.BytesIO()
    Image.fromarray(IMAGE).resize((640, 480)).save(packed, "JPEG")
    benchmark(lambda: [Image.open(io.BytesIO(packed.getvalue())).convert("RGB") for _ in range(4)])


def test_training_step(benchmark):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(10)
    )
    images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)

    def step():
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()

    benchmark(step)


def test_memory_bound(benchmark):
    batch = np.zeros((32, 224, 224, 3), dtype=np.uint8)
    benchmark(lambda: (batch.astype(np.float32) - 0.5) / 0.25)
""",
    "pyproject.toml": '[project]\nname = "doctor"\nversion = "1"\n',
}


@dataclass(frozen=True, slots=True)
class WorkloadSensitivity:
    """What can be seen of one workload: the spread of a pair and, by number of pairs, (MDE, alpha)."""

    workload: str
    spread: float
    mde: Mapping[int, tuple[float, float]]
    log_ratios: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MachineDiagnosis:
    """All that the doctor found."""

    workloads: tuple[WorkloadSensitivity, ...]
    checks: tuple[MachineCheck, ...]
    unfit: tuple[str, ...]


def diagnose(number: int, alpha: float, tolerance: float, tell: OnProgress) -> MachineDiagnosis:
    """Run `number` null pairs."""
    before = machine_checks.cpu_seconds()
    with tempfile.TemporaryDirectory(prefix="perfsuite-doctor-") as folder:
        place = Path(folder) / "doctor"
        _write_probe_project(place)
        followed = _run_null_pairs(place, number, tell)
    facts = machine_checks.run_checks(before, machine_checks.cpu_seconds())
    if not followed:
        raise NothingMeasuredError("doctor: no null pair could be run; are torch and pytest-benchmark here?")
    ratios = {found.name: found.log_ratios for found in followed}
    sights = tuple(
        sensitivity(found.name, found.log_ratios, alpha, tolerance, found.error) for found in followed
    )
    return MachineDiagnosis(sights, tuple(facts), sequential_rule.unfit_workloads(ratios, tolerance))


def sensitivity(
    workload: str, log_ratios: list[float], alpha: float, tolerance: float, error: float = 0.0
) -> WorkloadSensitivity:
    """What would be found in pairs that scatter like these, each known to no less than `error`.

    >>> found = sensitivity("decode", [0.01, -0.01, 0.005, -0.005, 0.002, -0.003], 0.01, 0.01)
    >>> found.mde[6][1], found.mde[12][1], found.mde[20][0] < found.mde[12][0]
    (0.015625, 0.01, True)
    """
    seen = {}
    for number in PAIRS_SHOWN:
        # So few coins cannot promise less than one pattern in 2^n.
        able = max(alpha, 2.0**-number)
        rule = SequentialRule(workloads=1, alpha=able, tolerance=tolerance, max_pairs=number)
        seen[number] = (sequential_rule.minimum_detectable_effect(rule, log_ratios, error=error), able)
    return WorkloadSensitivity(workload, sign_flip.pair_deviation(log_ratios), seen, tuple(log_ratios))


def _write_probe_project(place: Path) -> None:
    place.mkdir()
    for name, text in PROBE_PROJECT.items():
        (place / name).write_text(text)
    who = ["-c", "user.name=doctor", "-c", "user.email=doctor@localhost", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "doctor"]):
        subprocess.run(["git", *words], cwd=place, check=True, capture_output=True)  # noqa: S607


def _run_null_pairs(place: Path, number: int, tell: OnProgress) -> list[WorkloadState]:
    """Identical code on both sides, at the pace of a gate: what it would see."""
    settings = GateSettings(base="HEAD", head="HEAD", null=True)
    repository = Repository.at(place)
    followed: dict[str, WorkloadState] = {}
    with (
        gate_workspace(repository.git_directory) as work,
        prepare_sides(repository, settings, work, random.Random(), lambda _: None) as stand,
    ):
        nodes = collect_suites(stand).nodes("head")
        for done in range(number):
            result = stand.run(nodes)
            for seen in result.workload_turns:
                name = seen.name.partition("::test_")[2]
                followed.setdefault(name, WorkloadState(name, seen.node)).add_pair(seen, result.first_side)
            tell(f"null pair {done + 1} of {number}")
    return list(followed.values())
