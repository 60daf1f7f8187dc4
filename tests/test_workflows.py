"""What CI is told to do, here and in the manual: the command exists, and nobody's code gets rights."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfsuite.cli.commands.gate import add_arguments

ROOT = Path(__file__).parents[1]
ZIZMOR = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or shutil.which("zizmor")
OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MANUAL = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "gate.md").read_text(), re.DOTALL)
TEXTS = {
    **{path.name: path.read_text() for path in OURS},
    **{f"manual {n}": text for n, text in enumerate(MANUAL)},
}


MAIN_BRANCH = "${{ github.event.repository.default_branch }}"


def events(workflow: dict[Any, Any]) -> set[str]:
    on = workflow[True]  # YAML 1.1 takes the word `on` for a truth value
    return {on} if isinstance(on, str) else set(on)


def steps(workflow: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def workflow_faults(text: str) -> list[str]:
    """Ways in which a stranger's pull request could get at more than it is given."""
    workflow = yaml.safe_load(text)
    found = []
    if "permissions" not in workflow:
        found.append("no permissions are named, and so all are given")
    if "write" in workflow.get("permissions", {}).values():
        found.append("every job may write, expected a permission of one job")
    is_privileged = bool(events(workflow) & {"pull_request_target", "workflow_run"})
    for job in workflow["jobs"].values():
        may_write = "write" in job.get("permissions", {}).values()
        refs = [
            step.get("with", {}).get("ref") for step in job["steps"] if "checkout" in step.get("uses", "")
        ]
        if is_privileged and any(ref != MAIN_BRANCH for ref in refs):
            found.append("it has rights and checks out code of others")
        if may_write and refs and not is_privileged:
            found.append("it may write and checks out the code of a pull request")
    for step in steps(workflow):
        if "${{" in step.get("run", ""):
            found.append(f"a script is put together from what others write: {step['run']}")
    if any("timeout-minutes" not in job for job in workflow["jobs"].values()):
        found.append("a job may run for six hours")
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_nobodys_code_gets_rights(name: str) -> None:
    assert workflow_faults(TEXTS[name]) == []


@pytest.mark.parametrize(
    ("sound", "planted", "told"),
    [
        ("on: pull_request", "on: pull_request_target", "checks out code of others"),
        ("contents: read", "pull-requests: write", "every job may write"),
        (
            "    timeout-minutes: 60\n",
            "    timeout-minutes: 60\n    permissions:\n      contents: write\n",
            "may write and checks out",
        ),
        ("permissions:\n  contents: read\n", "", "no permissions"),
        ("pip install -e .", "echo ${{ github.head_ref }}", "what others write"),
        ("    timeout-minutes: 60\n", "", "six hours"),
    ],
)
def test_each_of_these_faults_is_seen(sound: str, planted: str, told: str) -> None:
    assert sound in MANUAL[0]
    assert told in str(workflow_faults(MANUAL[0].replace(sound, planted)))


def lost_runs(text: str) -> list[str]:
    """Concurrency groups that several pull requests or commits share: of those that wait, one is kept."""
    workflow = yaml.safe_load(text)
    blocks = [workflow.get("concurrency"), *(job.get("concurrency") for job in workflow["jobs"].values())]
    groups = [block["group"] if isinstance(block, dict) else block for block in blocks if block]
    shared = [group for group in groups if not re.search(r"pull_request\.number|sha", group)]
    pushes = workflow[True].get("push") or {} if isinstance(workflow[True], dict) else {}
    if set(pushes) == {"tags"}:  # each tag is pushed once
        shared = [group for group in shared if "github.ref" not in group]
    return shared


@pytest.mark.parametrize("name", TEXTS)
def test_no_run_that_waits_is_cancelled_by_another_pull_request_or_commit(name: str) -> None:
    assert lost_runs(TEXTS[name]) == []


@pytest.mark.parametrize(
    ("name", "sound", "planted"),
    [
        (
            "gate.yml",
            "    env:\n      PERFSUITE_REQUIRE_GPU",
            "    concurrency: gate-gpu\n    env:\n      PERFSUITE",
        ),
        ("tests.yml", "github.event.pull_request.number || github.sha", "github.ref"),
    ],
)
def test_a_shared_concurrency_group_is_seen(name: str, sound: str, planted: str) -> None:
    assert sound in TEXTS[name]
    assert lost_runs(TEXTS[name].replace(sound, planted))


def gpu_result(runner: str, result: str) -> int:
    """The exit code of the job that is to be required, for a result of the job `gpu`."""
    (step,) = yaml.safe_load(TEXTS["gate.yml"])["jobs"]["gpu-result"]["steps"]
    environment = {"RUNNER": runner, "RESULT": result, "PATH": os.defpath}
    words = ["/bin/bash", "-e", "-c", step["run"]]
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode


def test_a_skipped_gpu_job_is_red_where_a_gpu_runner_is_set_up() -> None:
    assert gpu_result("", "skipped") == 0
    assert gpu_result('["gpu"]', "success") == 0
    for result in ("skipped", "failure", "cancelled"):
        assert gpu_result('["gpu"]', result) != 0
    job = yaml.safe_load(TEXTS["gate.yml"])["jobs"]["gpu-result"]
    assert (job["needs"], job["if"]) == ("gpu", "always()"), "else it is skipped with the job it watches"


def test_the_gpu_job_runs_tests_and_limits_before_the_gate() -> None:
    job = yaml.safe_load(TEXTS["gate.yml"])["jobs"]["gpu"]
    runs = [step.get("run", "") for step in job["steps"]]
    (limits,) = [number for number, run in enumerate(runs) if "make gpu" in run]
    (gate,) = [number for number, run in enumerate(runs) if "perfsuite gate" in run]
    assert limits < gate
    assert any("kornia" in run for run in runs)
    assert job["steps"][gate]["if"] == "${{ !cancelled() }}", "else a broken limit would hide the gate"


def test_the_comment_is_rendered_from_checked_json_by_code_of_the_main_branch() -> None:
    text = TEXTS["gate-comment.yml"]
    for planted in ("", "${{ github.event.workflow_run.head_sha }}"):
        assert "checks out code of others" in str(workflow_faults(text.replace(MAIN_BRANCH, planted)))
    assert "perfsuite render" in text
    assert "gate.md" not in text


def history_faults(text: str) -> list[str]:
    """Ways in which anything but main could get into the stored history."""
    workflow = yaml.safe_load(text)
    found = [] if workflow[True] == {"push": {"branches": ["main"]}} else ["it starts for more than main"]
    for name, job in workflow["jobs"].items():
        uses = [step.get("uses", "") for step in job["steps"]]
        if "write" in job["permissions"].values() and any("checkout" in each for each in uses):
            found.append(f"{name} may write and checks out code")
    return found


def test_only_runs_of_main_are_stored() -> None:
    text = TEXTS["history.yml"]
    assert history_faults(text) == []
    assert history_faults(text.replace("push:", "pull_request:", 1))
    assert history_faults(text.replace("contents: read", "contents: write"))


@pytest.mark.skipif(ZIZMOR is None, reason="zizmor is not installed")
def test_zizmor_finds_nothing_at_its_default_level(tmp_path: Path) -> None:
    assert zizmor(ROOT / ".github" / "workflows") == 0
    planted = TEXTS["gate.yml"].replace("code=0", "echo ${{ github.head_ref }}")
    (tmp_path / "planted.yml").write_text(planted)
    assert zizmor(tmp_path / "planted.yml") != 0, "the negative control"


def zizmor(target: Path) -> int:
    words = [str(ZIZMOR), "--offline", "--no-progress", "--quiet", str(target)]
    return subprocess.run(words, capture_output=True, check=False).returncode


def test_what_runs_here_is_pinned() -> None:
    for path in OURS:
        for step in steps(yaml.safe_load(path.read_text())):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{'0' * 40}")), step


def commands(text: str) -> Iterator[list[str]]:
    for step in steps(yaml.safe_load(text)):
        for line in step.get("run", "").splitlines():
            _, is_gate, words = line.partition("perfsuite gate ")
            if is_gate:
                yield shlex.split(words.partition("||")[0])


@pytest.mark.parametrize("name", ["gate.yml", "manual 0"])
def test_the_gate_is_asked_in_words_that_it_knows(name: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    asked = [parser.parse_args(words) for words in commands(TEXTS[name])]
    assert asked
    for words in asked:
        assert (words.base, words.head, words.report) == ("HEAD^1", "HEAD", Path("report"))
    (checkout, *_) = [
        step for step in steps(yaml.safe_load(TEXTS[name])) if "checkout" in step.get("uses", "")
    ]
    assert checkout["with"]["fetch-depth"] == 2
