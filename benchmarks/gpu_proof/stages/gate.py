"""The gate on the GPU: a commit that changes nothing, and one that plants a fault in each workload."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu_proof.stage import Row, Stage, StageContext

PROJECT = Path(__file__).parents[1] / "gate_project"
PLANTED = {"UNITS": "3", "ITEM": "True", "LAUNCH": "True", "COPY": "True"}
EXPECTED = {
    "Normalization": "3 % more work",
    "Step": "one .item()",
    "Augmentation": "two more launches",
    "Inference": "one more copy",
}


def run(context: StageContext) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        shutil.copytree(PROJECT, root)
        base = _commit(root, "Four workloads")
        (root / "NOTES.md").write_text("Nothing that a benchmark runs.\n")
        unchanged = _commit(root, "Add notes")
        planted = root / "planted.py"
        source = planted.read_text()
        for name, value in PLANTED.items():
            source = re.sub(rf"^{name} = .*$", f"{name} = {value}", source, flags=re.MULTILINE)
        planted.write_text(source)
        changed = _commit(root, "Plant four faults")
        if not context.is_rehearsal:
            yield from _gate(context, root, "unchanged", base, unchanged)
        yield from _gate(context, root, "planted", base, changed)


def _gate(context: StageContext, root: Path, name: str, base: str, head: str) -> Iterator[Row]:
    report = context.out / f"gate-{name}"
    budget = "45s" if context.is_rehearsal else "50s"  # which suffices for a pair on a busy machine
    command = ["-m", "perfsuite", "gate", "--base", base, "--head", head, "--report", str(report)]
    done = context.run(*command, "--time-everything", "--time-budget", budget, "suite", cwd=root)
    path = report / "gate.json"
    if not path.exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise RuntimeError(f"perfsuite gate: exit {done.returncode}: {''.join(last)}")
    for workload in json.loads(path.read_text())["workloads"]:
        label = workload["name"].partition("[")[2].rstrip("]")
        expected = EXPECTED.get(label, "") if name == "planted" else "no change"
        verdicts = [f"{each['metric']} {each['outcome']}" for each in workload["verdicts"]]
        yield Row(f"{name}: {label}", ", ".join(verdicts), f"planted: {expected}")
        if any(each["outcome"] in ("error", "missing") for each in workload["verdicts"]):
            raise RuntimeError(f"{name}: {label} did not run on both sides; commands.log says why")
    yield Row(f"{name}: exit code", str(done.returncode))


def _commit(root: Path, subject: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise RuntimeError("git is not installed, which the gate needs")
    author = ["-c", "user.name=gpu", "-c", "user.email=gpu@localhost", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", subject]):
        subprocess.run([git, *words], cwd=root, check=True, capture_output=True)
    done = subprocess.run([git, "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


STAGE = Stage(order=6, name="gate", title="Gate", limit_seconds=120, run=run)
