"""The name of a workload in words, and in a column that may be too narrow for it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """A node id in words. `arm` is the name that one of several workloads of a test has, else empty."""

    module: str
    test: str
    arm: str = ""

    @property
    def label(self) -> str:
        return " · ".join(part for part in (self.test, self.arm) if part)


def parse_workload_name(node_id: str) -> WorkloadName:
    """Split a node id into module, test and arm.

    >>> parse_workload_name("benchmarks/test_loaders.py::TestCache::test_fast_folder[a_b]::ours")
    WorkloadName(module='loaders', test='TestCache · fast folder[a_b]', arm='ours')
    """
    file, _, rest = node_id.partition("::")
    module = file.rpartition("/")[2].removesuffix(".py").removeprefix("test_")
    parts = rest.split("::") if rest else []
    tests = [index for index, part in enumerate(parts) if part.startswith("test")]
    end = tests[-1] + 1 if tests else len(parts)
    test = " · ".join(map(_as_words, parts[:end]))
    return WorkloadName(module, test or module, " · ".join(map(_as_words, parts[end:])))


def label_of(node_id: str) -> str:
    """The name of a workload in words, without its module.

    >>> label_of("benchmarks/test_loaders.py::test_fast_folder::ours")
    'fast folder · ours'
    """
    return parse_workload_name(node_id).label


def _as_words(name: str) -> str:
    function, bracket, parameters = name.partition("[")
    return f"{function.removeprefix('test_').replace('_', ' ')}{bracket}{parameters}"


def shorten(name: str, width: int) -> str:
    """Shorten a name from the left, between words where that costs little; its parameters are cut last.

    >>> shorten("own loader feeds the training step[threads-64]", 26)
    '…training step[threads-64]'
    >>> shorten("fast folder[moderate-threads-64-float32]", 26)
    '…erate-threads-64-float32]'
    """
    if cell_len(name) <= width:
        return name
    tail = name
    while tail and cell_len(tail) > max(0, width - cell_len(ELLIPSIS)):
        tail = tail[1:]
    before_parameters = tail.partition("[")[0] if "[" in tail else tail
    word, space, rest = before_parameters.partition(" ")
    if space and rest.strip() and len(word) < len(rest):
        tail = tail[len(word) + 1 :]
    return f"{ELLIPSIS}{tail}" if width > 0 else ""
