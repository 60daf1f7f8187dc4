"""Shards of one gate: each test in one of them, one chance of error in all, and nothing lost in a merge."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perfsuite.cli import main
from perfsuite.errors import ExitCode, UsageError
from perfsuite.gate.settings import GateSettings
from perfsuite.judge.gate_report import GateReport
from perfsuite.judge.gate_shard import Shard, ShardRecord, parse_shard
from perfsuite.judge.merge_shards import merge_shards
from perfsuite.judge.sequential_rule import SequentialRule, significant_outcome
from perfsuite.judge.verdict import Outcome
from perfsuite.report.formats import json as json_format
from perfsuite.report.gate_file import parse_gate_report
from perfsuite.report.report import report_gate
from tests.report.sample_reports import make_gate, make_workload

NAMES = [f"benchmarks/test_{n % 7}.py::test_{n}[é{n}]" for n in range(200)]


def shard_report(number: int, count: int = 2, *outcomes: Outcome) -> GateReport:
    workloads = [
        make_workload(f"t{number}-{n}", outcome, 0.1) for n, outcome in enumerate(outcomes or [Outcome.KEPT])
    ]
    return replace(
        make_gate(*workloads),
        shard=ShardRecord(Shard(number, count), collected_tests=4, collected_digest="d" * 64),
        settings={"harness": "head"},
    )


def reports(*each: GateReport) -> dict[str, GateReport]:
    return {f"{n}.json": report for n, report in enumerate(each)}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_test_belongs_to_one_shard(count: int) -> None:
    for name in NAMES:
        assert sum(Shard(number, count).owns(name) for number in range(1, count + 1)) == 1


def test_a_shard_depends_on_the_name_alone() -> None:
    """Also in another process, whose hashes of texts are others."""
    owned = [n for n, name in enumerate(NAMES[:12]) if Shard(1, 3).owns(name)]
    assert owned == [0, 5, 8, 9]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "1", "a/b", "1/2/3", "-1/2", "1/1001", "", "9" * 30])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        parse_shard(text)


def test_the_parts_of_alpha_are_no_more_than_alpha() -> None:
    for count in (1, 2, 7, 100):
        parts = [GateSettings("main", shard=Shard(number + 1, count)).own_alpha for number in range(count)]
        assert sum(parts) <= 0.01 * (1 + 1e-12)


def raises_alarm(rule: SequentialRule, log_ratios: list[float]) -> bool:
    looks = rule.alpha_by_look.items()
    return any(significant_outcome(log_ratios[:n], 0.0, share) is Outcome.REGRESSED for n, share in looks)


def test_false_alarms_of_all_shards_together_stay_below_alpha() -> None:
    """Invented pairs of the same code on four machines. With alpha for each shard, they would not."""
    rng = random.Random(18)
    own, whole = (SequentialRule(2, alpha=alpha, max_pairs=12) for alpha in (Shard(1, 4).alpha(0.2), 0.2))
    alarms = {"own": 0, "whole": 0}
    for _ in range(300):
        pairs = [[rng.choice((1, -1)) * rng.expovariate(50) for _ in range(12)] for _ in range(8)]
        alarms["own"] += any(raises_alarm(own, each) for each in pairs)
        alarms["whole"] += any(raises_alarm(whole, each) for each in pairs)
    assert alarms["own"] <= 81, "60, and three deviations"
    assert alarms["whole"] > 81, "the negative control"


def test_all_shards_give_one_verdict_in_any_order() -> None:
    first, second = shard_report(1, 2, Outcome.KEPT), shard_report(2, 2, Outcome.REGRESSED, Outcome.KEPT)
    merged = merge_shards(reports(first, second))
    assert merged == merge_shards(reports(second, first))
    assert merged.exit_code is ExitCode.REGRESSED
    assert merged.headline == "1 regressed, 2 kept"
    assert (merged.alpha, merged.pairs, merged.shard) == (0.01, 36, None)


def test_a_missing_shard_is_red() -> None:
    merged = merge_shards(reports(shard_report(1, 3), shard_report(3, 3)))
    assert merged.exit_code is ExitCode.NOT_COMPARED
    assert [verdict.workload for verdict in merged.verdicts if verdict.outcome is Outcome.MISSING] == [
        "shard 2/3"
    ]
    assert merge_shards(reports(*(shard_report(n, 3) for n in (1, 2, 3)))).exit_code is ExitCode.KEPT


CHANGES: dict[str, Callable[[GateReport], GateReport]] = {
    "alpha": lambda report: replace(report, alpha=0.05),
    "tolerance": lambda report: replace(report, tolerance=0.05),
    "max-pairs": lambda report: replace(report, max_pairs=30),
    "commit of head": lambda report: replace(report, head=replace(report.head, commit="c" * 40)),
    "commit of base": lambda report: replace(report, base=replace(report.base, commit="c" * 40)),
    "uncommitted files of head": lambda report: replace(report, head=replace(report.head, uncommitted=())),
    "setting harness": lambda report: replace(report, settings={"harness": "own"}),
    "number of shards": lambda report: replace(report, shard=ShardRecord(Shard(2, 3), 4, "d" * 64)),
    "tests collected by all": lambda report: replace(report, shard=ShardRecord(Shard(2, 2), 4, "e" * 64)),
    "the report of a whole gate": lambda report: replace(report, shard=None),
    "again": lambda report: replace(report, shard=ShardRecord(Shard(1, 2), 4, "d" * 64)),
}


@pytest.mark.parametrize("named", CHANGES)
def test_what_is_not_of_one_gate_is_refused(named: str) -> None:
    with pytest.raises(UsageError, match=named):
        merge_shards(reports(shard_report(1), CHANGES[named](shard_report(2))))


def test_no_report_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no report"):
        merge_shards({})


def test_a_shard_without_tests_is_green_and_all_of_them_together_are_not() -> None:
    empty = [replace(shard_report(n), workloads=()) for n in (1, 2)]
    assert empty[0].exit_code is ExitCode.KEPT
    assert empty[0].headline == "no benchmark belongs to this shard"
    assert merge_shards(reports(*empty)).exit_code is ExitCode.NOT_COMPARED
    assert merge_shards(reports(empty[0], shard_report(2))).exit_code is ExitCode.KEPT


def test_a_suite_that_collects_nothing_is_red_in_every_shard() -> None:
    none = replace(shard_report(1), workloads=(), shard=ShardRecord(Shard(1, 2), 0, "d" * 64))
    assert none.exit_code is ExitCode.NOT_COMPARED


def test_an_unfit_or_interrupted_shard_stays_so() -> None:
    unfit = replace(shard_report(1), unfit=("t1-0",))
    assert merge_shards(reports(unfit, shard_report(2))).exit_code is ExitCode.UNFIT
    interrupted = replace(shard_report(1), interrupted=True)
    assert merge_shards(reports(interrupted, shard_report(2))).exit_code is ExitCode.INTERRUPTED


def test_a_file_that_every_shard_failed_to_collect_is_listed_once() -> None:
    broken = make_workload("test_b.py", Outcome.ERROR)
    both = [replace(shard_report(n), workloads=(*shard_report(n).workloads, broken)) for n in (1, 2)]
    assert merge_shards(reports(*both)).headline == "1 error, 2 kept"


def test_notes_name_their_shard_unless_all_have_them() -> None:
    first = replace(shard_report(1), notes=("everywhere", "here"))
    second = replace(shard_report(2), notes=("everywhere",))
    assert merge_shards(reports(first, second)).notes == ("everywhere", "shard 1/2: here")


def write(folder: Path, report: GateReport) -> str:
    folder.mkdir()
    (folder / "gate.json").write_text(json_format.render(report_gate(report)))
    return str(folder / "gate.json")


def test_a_shard_is_read_back_as_it_was_written() -> None:
    report = replace(shard_report(1), command="", advice=("--time-budget 6m",))
    assert parse_gate_report(json_format.render(report_gate(report)).encode(), "x").shard == report.shard


@pytest.mark.parametrize("command", [["merge"], ["gate", "merge"]])
def test_the_command_merges_files(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / str(n), shard_report(n)) for n in (1, 2)]
    assert main([*command, *files, "--report", str(tmp_path / "all")]) == 0
    assert "chance of any false alarm in all 2 shards: at most 1 %" in capsys.readouterr().out
    assert json.loads((tmp_path / "all" / "gate.json").read_text())["headline"] == "2 kept"
    assert main([*command, files[0]]) == 12
    assert "shard 2/2" in capsys.readouterr().out
    assert main([*command, files[0], files[0].replace("1/gate", "1/../1/gate")]) == 2
    assert "until it is green" in capsys.readouterr().err


def test_a_damaged_shard_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write(tmp_path / "1", shard_report(1))
    bad = write(tmp_path / "2", shard_report(2))
    text = Path(bad).read_text()
    Path(bad).write_text(text.replace('"number": 2', '"number": 5'))
    assert main(["merge", good, bad]) == 13
    assert "report.shard.shard is str '5/2', expected K/N" in capsys.readouterr().err
    assert main(["merge", good, str(tmp_path / "none.json")]) == 13
