"""Counters find changes in one pair, without noise and without a GPU."""

from __future__ import annotations

import random

from perfsuite.gate.counting import diff_counters
from perfsuite.gate.pair_result import NodeId, Purpose
from perfsuite.gate.prepare_sides import open_pair_runner
from perfsuite.judge.verdict import Outcome
from tests.gate.projects import Project, quick_settings

BENCHMARKS = """
import net


def test_sync(benchmark):
    benchmark(net.sync)


def test_layout(benchmark):
    benchmark(net.layout)


def test_break(benchmark):
    benchmark(net.compiled)


def test_copy(benchmark):
    benchmark(net.copy)


def test_decode(benchmark):
    benchmark(net.decode)


def test_same(benchmark):
    benchmark(net.same)
"""
NET = """
import io

import torch
from PIL import Image

X = torch.ones(2, 3, 8, 8)
PACKED = io.BytesIO()
Image.new("RGB", (8, 8)).save(PACKED, "JPEG")


def sync():
    total = X.sum()
    {sync}
    return total


def layout():
    return (X{layout} * 2).sum()


@torch.compile(backend="eager")
def compiled(x=X):
    y = x + 1
    {graph_break}
    return y * 2


def copy():
    return X.mul(2){copy}


def decode():
    for _ in range({decode}):
        Image.open(io.BytesIO(PACKED.getvalue())).load()


def same():
    return X.mul(2)
"""
FAST = {"sync": "pass", "layout": "", "graph_break": "pass", "copy": "", "decode": "1"}
PLANTED = {
    "sync": "float(total)",
    "layout": ".contiguous(memory_format=torch.channels_last)",
    "graph_break": "torch._dynamo.graph_break()",
    "copy": ".clone()",
    "decode": "2",
}
FOUND_BY = {
    "test_sync": "host_syncs",
    "test_layout": "layout_copies",
    "test_break": "graph_breaks",
    "test_copy": "copies",
    "test_decode": "decoded_images",
}


def test_each_planted_change_regresses_its_counter_in_one_pair(project: Project) -> None:
    project.commit({"net.py": NET.format(**FAST), "test_net.py": BENCHMARKS})
    project.commit({"net.py": NET.format(**PLANTED)})
    nodes = [NodeId(f"test_net.py::{test}") for test in (*FOUND_BY, "test_same")]
    with open_pair_runner(project.root, quick_settings(), random.Random(1)) as runner:
        result = runner.run(nodes, Purpose.COUNTING)
    regressed = {
        name.partition("::")[2]: {
            verdict.metric
            for verdict in diff_counters(name, counts).changed
            if verdict.outcome is Outcome.REGRESSED
        }
        for name, counts in result.counts.items()
    }
    assert set(regressed) == {*FOUND_BY, "test_same"}
    assert regressed.pop("test_same") == set()
    for test, counter in FOUND_BY.items():
        assert counter in regressed[test], f"{test}: {regressed[test]}"
