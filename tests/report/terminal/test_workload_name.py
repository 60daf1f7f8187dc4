"""Names of workloads in words, and shortened ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.report.terminal.workload_name import WorkloadName, parse_workload_name, shorten


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("benchmarks/test_loaders.py", WorkloadName("loaders", "loaders")),
        ("test_a.py::test_b_c[d_e]", WorkloadName("a", "b c[d_e]")),
        ("test_a.py::test_b::ours", WorkloadName("a", "b", "ours")),
        ("test_a.py::TestX::test_b", WorkloadName("a", "TestX · b")),
        ("bench_a.py::bench_b", WorkloadName("bench_a", "bench b")),
    ],
)
def test_a_node_id_is_split_into_module_test_and_arm(node_id: str, name: WorkloadName) -> None:
    assert parse_workload_name(node_id) == name


@given(st.text(alphabet="ab -_[]/", max_size=60), st.integers(1, 40))
def test_a_shortened_name_fits_and_is_the_end_of_the_name(name: str, width: int) -> None:
    short = shorten(name, width)
    assert len(short) <= width
    assert name.endswith(short.removeprefix("…"))
    assert (short == name) == (len(name) <= width)
