"""The prover records real pairs: what belongs to which test, and what an earlier test leaves behind."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from perfsuite.gate.collect_suites import collect_suites
from perfsuite.gate.pair_result import NodeId, Purpose
from perfsuite.gate.prepare_sides import open_pair_runner
from perfsuite.gate.same_code.prover import SameCodeProver
from tests.gate.projects import Project, quick_settings

CONFTEST = """
import pytest
from toy import shared


@pytest.fixture(scope="session")
def model():
    return shared.make_model()
"""
SHARED = """
import functools


def make_model():
    return {model}


@functools.lru_cache
def table():
    return {table}


def cached():
    return table()


def same():
    return 1
"""
TEST_SHARED = """
from toy import shared


def test_same(benchmark):
    benchmark(shared.same)


def test_fills_the_cache(benchmark):
    benchmark(shared.table)


def test_reads_the_cache(benchmark):
    benchmark(len, shared.table())


def test_model(benchmark, model):
    benchmark(len, [model])


def test_model_again(benchmark, model):
    benchmark(len, [model])
"""
TEST_OTHER = """
import os
from toy import other


def one():
    return 1


def two():
    return 2


def test_import(benchmark):
    benchmark(other.run)


def test_varies(benchmark):
    benchmark(one if os.environ["PERFSUITE_GATE_SIDE"] == "base" else two)
"""
FILES = {
    "toy/__init__.py": "",
    "toy/shared.py": SHARED.format(model=1, table=1),
    "toy/other.py": "SIZE = 1\n\n\ndef run():\n    return SIZE\n",
    "benchmarks/conftest.py": CONFTEST,
    "benchmarks/test_shared.py": TEST_SHARED,
    "benchmarks/test_other.py": TEST_OTHER,
}
SHARED_TESTS = ("same", "fills_the_cache", "reads_the_cache", "model", "model_again")


TEST_MADE = """
from toy import shared

MODEL = shared.make_model()


def test_made(benchmark):
    benchmark(len, [MODEL])
"""


def prove(project: Project, tests: list[str], **settings: Any) -> tuple[set[str], Mapping[str, str]]:
    """The tests that are proven to run the same code, and the reasons against the others."""
    nodes = [NodeId(f"benchmarks/{test}") for test in tests]
    with open_pair_runner(project.root, quick_settings(**settings), random.Random(1)) as runner:
        collect_suites(runner)  # from here on, what both sides import comes from a fork server
        prover = SameCodeProver(
            roots={side: tree.path for side, tree in runner.worktrees.items()}, workspace=runner.workspace
        )
        runner.recording_requests = prover.requests
        with prover.recorded():
            runner.run(nodes, Purpose.COUNTING)
        proven = prover.prove(
            nodes,
            file_of=lambda node: node.partition("::")[0],
            run_pair=lambda nodes: runner.run(nodes, Purpose.RECORDING),
            is_out_of_time=lambda: False,
        )
    names = {node: node.rpartition("::test_")[2] for node in nodes}
    return {names[node] for node in proven}, {names[node]: use for node, use in prover.reasons.items()}


def test_a_test_is_the_same_only_where_no_process_state_may_differ(project: Project) -> None:
    project.commit(FILES)
    project.commit({"toy/shared.py": SHARED.format(model=2, table=2)})
    tests = [*(f"test_shared.py::test_{name}" for name in SHARED_TESTS), "test_other.py::test_import"]
    proven, reasons = prove(project, tests)
    assert proven == {"same", "import"}
    assert reasons["reads_the_cache"] == reasons["fills_the_cache"] == "toy/shared.py: table differs"
    assert reasons["model"] == reasons["model_again"] == "toy/shared.py: make_model differs"


TEST_TORCH = """
import torch
from toy import other


def test_torch(benchmark):
    benchmark(torch.ones, other.SIZE)
"""


def test_a_test_that_uses_torch_can_be_proven(project: Project) -> None:
    """torch is imported before the recording, and some of its modules name files that do not exist."""
    project.commit({**FILES, "benchmarks/test_torch.py": TEST_TORCH})
    project.commit({"toy/shared.py": SHARED.format(model=2, table=2)})
    assert prove(project, ["test_torch.py::test_torch"]) == ({"torch"}, {})
    project.commit({"toy/other.py": FILES["toy/other.py"].replace("SIZE = 1", "SIZE = 2")})
    assert prove(project, ["test_torch.py::test_torch"])[0] == set()


def test_a_module_counts_only_for_the_files_that_import_it(project: Project) -> None:
    project.commit(FILES)
    project.commit({"toy/other.py": FILES["toy/other.py"].replace("SIZE = 1", "SIZE = 2")})
    proven, reasons = prove(project, ["test_shared.py::test_same", "test_other.py::test_import"])
    assert proven == {"same"}
    assert reasons["import"].startswith("toy/other.py differs where it is imported")


@pytest.mark.parametrize(
    "pytest_args",
    [
        ("benchmarks",),
        ("benchmarks/test_made.py", "benchmarks/test_other.py"),
        ("benchmarks/test_made.py::test_made", "benchmarks/test_other.py::test_import"),
    ],
)
def test_the_second_pair_imports_no_file_without_a_candidate(
    pytest_args: tuple[str, ...], project: Project
) -> None:
    project.commit({**FILES, "benchmarks/test_made.py": TEST_MADE})
    project.commit({"toy/shared.py": SHARED.format(model=2, table=1)})
    tests = ["test_made.py::test_made", "test_other.py::test_import"]
    proven, reasons = prove(project, tests, pytest_args=pytest_args)
    assert (proven, reasons) == ({"import"}, {"made": "toy/shared.py: make_model differs"})


def test_a_pair_that_would_show_the_same_again_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something other than the candidates uses what differs, such as a file that each pair imports."""
    evidence = SimpleNamespace(
        common_use=str,
        use_by=lambda test: "toy.py: run differs" if test == "uses" else "",
        all_uses=lambda: "toy.py: run differs",
        diff=SimpleNamespace(is_harmless=False),
    )
    monkeypatch.setattr(SameCodeProver, "recorded", lambda self, test_files: nullcontext())
    prover = SameCodeProver(roots={}, workspace=tmp_path, evidence=cast(Any, evidence))
    pairs: list[Sequence[NodeId]] = []
    tests = [NodeId("uses"), NodeId("other")]
    assert prover.prove(tests, file_of=str, run_pair=pairs.append, is_out_of_time=lambda: False) == []
    assert pairs == [["other"]]
    assert prover.reasons[tests[1]] == "no pair ran it without code that differs"


def test_a_benchmark_that_runs_other_functions_in_equal_calls_is_timed(project: Project) -> None:
    project.commit(FILES)
    project.commit({"toy/shared.py": FILES["toy/shared.py"].replace("return 1", "return 3")})
    proven, reasons = prove(project, ["test_other.py::test_varies", "test_other.py::test_import"])
    assert proven == {"import"}
    assert reasons["varies"] == "equal calls ran different functions"


MAKER = """
VALUES = []


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    VALUES.append(name)
    return name
"""


def test_what_ran_when_the_test_file_was_imported_is_compared(project: Project) -> None:
    files = {**FILES, "toy/__init__.py": "from toy import maker\n", "toy/maker.py": MAKER}
    other = "from toy.maker import {}\n\n\ndef run():\n    return 1\n"
    project.commit({**files, "toy/other.py": other.format("first")})
    project.commit({"toy/other.py": other.format("first, second")})
    proven, reasons = prove(project, ["test_shared.py::test_same", "test_other.py::test_import"])
    assert "may load what was not there" in reasons["import"]
    assert proven == {"same"}


SETS = "from toy import other\n\n\ndef set_size():\n    other.SIZE = 2\n"
TEST_SIZE = """
from toy import other, sets
{}


def test_size(benchmark):
    benchmark(other.run)
"""


def test_functions_that_ran_while_the_test_file_was_imported_are_compared(project: Project) -> None:
    """Which of them ran may depend on what no file says."""
    call = "import os\nif os.environ['PERFSUITE_GATE_SIDE'] == 'head':\n    sets.set_size()"
    project.commit({**FILES, "toy/sets.py": SETS, "benchmarks/test_size.py": TEST_SIZE.format(call)})
    project.commit({"toy/shared.py": SHARED.format(model=2, table=2)})
    _, reasons = prove(project, ["test_size.py::test_size", "test_other.py::test_import"])
    assert reasons["size"] == "equal calls ran different functions"


COMPILED = """
import torch


@torch.compile(backend="eager")
def changed(x):
    return inner(x)


def inner(x):
    return x + {number}


@torch.compile(backend="eager")
def same(x):
    return x * 2
"""
TEST_COMPILED = """
import torch
from toy import compiled


def test_changed(benchmark):
    benchmark(compiled.changed, torch.ones(2))


def test_same(benchmark):
    benchmark(compiled.same, torch.ones(2))
"""


@pytest.mark.slow
def test_what_a_compiled_function_runs_is_seen(project: Project) -> None:
    pytest.importorskip("torch")
    files = {"toy/__init__.py": "", "benchmarks/test_c.py": TEST_COMPILED}
    project.commit({**files, "toy/compiled.py": COMPILED.format(number=1)})
    project.commit({"toy/compiled.py": COMPILED.format(number=2)})
    proven, reasons = prove(project, ["test_c.py::test_changed", "test_c.py::test_same"])
    assert proven == {"same"}, reasons
    assert reasons["changed"] == "toy/compiled.py: inner differs"


KEEPS_ITS_CALLERS = "import traceback\n\nCALLERS = traceback.format_stack()\n"


@pytest.mark.parametrize(("package", "is_proven"), [("torch", True), ("other", False)])
def test_source_lines_that_torch_keeps_for_its_messages_are_no_use(
    project: Project, package: str, is_proven: bool
) -> None:
    packages = (f"packages/{package}/cuda", f"packages/{package}", "packages")
    files = dict.fromkeys((f"{name}/__init__.py" for name in packages), "")
    files[f"{packages[0]}/__init__.py"] = KEEPS_ITS_CALLERS
    own = (
        f"import packages.{package}.cuda\n\n\ndef run():\n    return 1\n\n\ndef unused():\n    return {{}}\n"
    )
    project.commit({**FILES, **files, "toy/other.py": own.format(1)})
    project.commit({"toy/other.py": own.format(2)})
    proven, reasons = prove(project, ["test_other.py::test_import"])
    assert proven == ({"import"} if is_proven else set()), reasons
    assert is_proven or reasons["import"] == "the source text of toy/other.py was read"
