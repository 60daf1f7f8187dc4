"""A few cases of each target of the core, and a fuzzer that finds what is planted."""

from __future__ import annotations

import mmap
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import driver
from tests.fuzz.driver import TARGETS, fuzz, repeat
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.target import FindingError, Target, run_command

CORE = sorted(name for name, target in TARGETS.items() if not target.needs)


@pytest.fixture(autouse=True)
def back_home() -> Iterator[None]:
    home = Path.cwd()
    yield
    os.chdir(home)


def planted(error: BaseException | None) -> Target:
    """A reader that fails at every input whose first byte was changed."""

    def try_one(data: bytes, folder: Path) -> None:
        if error is not None and data[:1] != b"a":
            raise error

    return Target("planted", lambda: [b"abc"], mutate_bytes, try_one)


@pytest.mark.parametrize("name", CORE)
def test_a_few_cases_find_nothing(name: str) -> None:
    cases, findings = fuzz([TARGETS[name]], seed=1, seconds=600, max_cases=25)
    assert [(each.command, each.error) for each in findings] == []
    assert cases == {name: 25}


def test_an_unexpected_error_is_found_and_repeated() -> None:
    target = planted(KeyError("x"))
    _, (finding,) = fuzz([target], seed=3, seconds=600, max_cases=500)
    assert isinstance(finding.error, KeyError)
    again = repeat(target, finding.seed, finding.case)
    assert again is not None
    assert isinstance(again.error, KeyError)
    assert f"--seed 3 --case {finding.case}" in finding.command


def test_a_reader_without_a_fault_has_no_finding() -> None:
    """The negative control."""
    assert fuzz([planted(None)], seed=3, seconds=600, max_cases=100)[1] == []


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "HANG_SECONDS", 1)

    def hang(data: bytes, folder: Path) -> None:
        while data != b"a":
            pass

    target = Target("planted", lambda: [b"a"], lambda rng, data: b"b", hang)
    _, (finding,) = fuzz([target], seed=1, seconds=600, max_cases=1)
    assert "no end after 1 s" in str(finding.error)


def test_growth_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MAX_GROWTH_BYTES", 32 * 2**20)
    kept: list[mmap.mmap] = []

    def grow(data: bytes, folder: Path) -> None:
        pages = mmap.mmap(-1, 2**22)  # new memory, also where the process has freed some before
        pages.write(random.randbytes(2**22))
        kept.append(pages)

    target = Target("planted", lambda: [b"a"], mutate_bytes, grow)
    _, (finding,) = fuzz([target], seed=1, seconds=600, max_cases=100)
    assert "memory grew" in str(finding.error)


@pytest.mark.parametrize(
    ("code", "printed"), [(0, "Traceback (most recent call last)"), (3, ""), (1, ""), (2, "\x1b[31m")]
)
def test_a_command_that_ends_as_none_may_is_a_finding(
    code: int, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(words: list[str]) -> int:
        sys.stderr.write(printed)
        return code

    monkeypatch.setattr("tests.fuzz.target.main", end)
    with pytest.raises(FindingError):
        run_command("compare")


@pytest.mark.parametrize(("code", "printed"), [(13, ""), (1, "t: regressed"), (1, "t: broken")])
def test_a_command_that_ends_with_its_error_or_verdict_is_none(
    code: int, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""

    def end(words: list[str]) -> int:
        sys.stdout.write(printed)
        return code

    monkeypatch.setattr("tests.fuzz.target.main", end)
    assert run_command("compare") == (code, printed, "")
