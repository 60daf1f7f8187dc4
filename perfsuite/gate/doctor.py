"""What this machine can see: null pairs of three workloads, and the slowdowns that would be found in them."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfsuite.errors import NothingMeasuredError
from perfsuite.gate import disturbances
from perfsuite.gate.arms import Repository
from perfsuite.gate.disturbances import Fact
from perfsuite.gate.followed import Followed
from perfsuite.gate.gate import Tell
from perfsuite.gate.settings import Settings
from perfsuite.gate.stand import make_ready, survey
from perfsuite.gate.workplace import workplace
from perfsuite.judge import flips, pairs
from perfsuite.judge.pairs import Rule

PAIRS_SHOWN = (6, 12, 20)
PROJECT = {
    "test_doctor.py": """\
import io

import numpy as np
import torch
from PIL import Image

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_decode(benchmark):
    packed = io.BytesIO()
    Image.fromarray(PICTURE).resize((640, 480)).save(packed, "JPEG")
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
class Sight:
    """What can be seen of one workload: the spread of a pair and, by number of pairs, (MDE, alpha)."""

    workload: str
    spread: float
    mde: Mapping[int, tuple[float, float]]
    log_ratios: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that the doctor found."""

    sights: tuple[Sight, ...]
    facts: tuple[Fact, ...]
    unfit: tuple[str, ...]


def examine(number: int, alpha: float, tolerance: float, tell: Tell) -> Diagnosis:
    """Run `number` null pairs."""
    before = disturbances.cpu_ticks()
    with tempfile.TemporaryDirectory(prefix="perfsuite-doctor-") as folder:
        place = Path(folder) / "doctor"
        _make_project(place)
        followed = _null_pairs(place, number, tell)
    facts = disturbances.look(before, disturbances.cpu_ticks())
    if not followed:
        raise NothingMeasuredError("doctor: no null pair could be run; are torch and pytest-benchmark here?")
    ratios = {found.name: found.log_ratios for found in followed}
    sights = tuple(sight(found.name, found.log_ratios, alpha, tolerance, found.error) for found in followed)
    return Diagnosis(sights, tuple(facts), pairs.unfit(ratios, tolerance))


def sight(
    workload: str, log_ratios: list[float], alpha: float, tolerance: float, error: float = 0.0
) -> Sight:
    """What would be found in pairs that scatter like these, each known to no less than `error`.

    >>> found = sight("decode", [0.01, -0.01, 0.005, -0.005, 0.002, -0.003], 0.01, 0.01)
    >>> found.mde[6][1], found.mde[12][1], found.mde[20][0] < found.mde[12][0]
    (0.015625, 0.01, True)
    """
    seen = {}
    for number in PAIRS_SHOWN:
        # So few coins cannot promise less than one pattern in 2^n.
        able = max(alpha, 2.0**-number)
        rule = Rule(workloads=1, alpha=able, tolerance=tolerance, max_pairs=number)
        seen[number] = (pairs.mde(rule, log_ratios, error=error), able)
    return Sight(workload, flips.spread(log_ratios), seen, tuple(log_ratios))


def _make_project(place: Path) -> None:
    place.mkdir()
    for name, text in PROJECT.items():
        (place / name).write_text(text)
    who = ["-c", "user.name=doctor", "-c", "user.email=doctor@localhost", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--message", "doctor"]):
        subprocess.run(["git", *words], cwd=place, check=True, capture_output=True)  # noqa: S607


def _null_pairs(place: Path, number: int, tell: Tell) -> list[Followed]:
    """Identical code on both sides, at the pace of a gate: what it would see."""
    settings = Settings(base="HEAD", head="HEAD", null=True)
    repository = Repository.at(place)
    followed: dict[str, Followed] = {}
    with (
        workplace(repository.git_directory) as work,
        make_ready(repository, settings, work, random.Random(), lambda _: None) as stand,
    ):
        nodes = survey(stand).nodes("head")
        for done in range(number):
            result = stand.run(nodes)
            for seen in result.seen:
                name = seen.name.partition("::test_")[2]
                followed.setdefault(name, Followed(name, seen.node)).add(seen, result.first_side)
            tell(f"null pair {done + 1} of {number}")
    return list(followed.values())
