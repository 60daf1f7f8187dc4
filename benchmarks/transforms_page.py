"""Measure normalization and augmentation, and write docs/results/transforms.md.

python -m benchmarks.transforms_page           # measure (a minute), then write the figures and the page
python -m benchmarks.transforms_page --page    # write the page from the figures in transforms.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from perfsuite import atomic
from perfsuite.judge.run_result import WorkloadRunResult
from perfsuite.measure.environment import detect_environment, version_of
from perfsuite.pytest_plugin.plugin import SESSION
from perfsuite.report.markdown_table import markdown_table
from perfsuite.report.terminal.workload_name import parse_workload_name

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
FIGURES, PAGE = RESULTS / "transforms.json", RESULTS / "transforms.md"
FILES = {"Normalization": "benchmarks/test_normalize.py", "Augmentation": "benchmarks/test_augment.py"}
OPTIONS = ("--perf-max-time=6", "--perf-time-only", "--perf-no-save")
LIBRARIES = ("torch", "torchvision", "albumentations", "opencv-python-headless", "numba", "numpy")

Record = Mapping[str, Any]


class VerdictCollector:
    """A pytest plugin that keeps every verdict of the run on a ratio."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for result in session.config.stash[SESSION].results.values():
            self.rows += _rows(result)


def _rows(result: WorkloadRunResult) -> Iterator[dict[str, Any]]:
    for kind, verdicts in (("limit", result.limits), ("aim", result.aims)):
        for verdict in verdicts:
            if verdict.reference and verdict.estimate is not None and verdict.interval is not None:
                yield {
                    "kind": kind,
                    "workload": verdict.workload,
                    "reference": verdict.reference,
                    "metric": verdict.metric,
                    "value": _round(verdict.estimate),
                    "low": _round(verdict.interval.low),
                    "high": _round(verdict.interval.high),
                    "bound": verdict.bound,
                    "outcome": verdict.outcome.value,
                }


def _round(value: float) -> float | None:
    """Four decimals; JSON has no infinity."""
    return round(value, 4) if isfinite(value) else None


def measure() -> dict[str, Any]:
    """Run the benchmarks, and return their verdicts with what is needed to repeat them."""
    words = (*FILES.values(), *OPTIONS)
    collector, begin, load = VerdictCollector(), time.monotonic(), os.getloadavg()[0]
    # This process has imported perfsuite already, which pytest would warn of.
    warnings = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    exit_code = pytest.main([*words, *warnings], plugins=[collector])
    return {
        "command": f"pytest {' '.join(words)}",
        "exit_code": int(exit_code),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - begin),
        "load": [round(each, 1) for each in (load, os.getloadavg()[0])],
        "environment": dict(detect_environment().hard),
        "versions": {name: version_of(name) for name in LIBRARIES},
        "rows": collector.rows,
    }


def render_page(record: Record) -> str:
    """The page; every figure on it is in the record."""
    facts = record["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    parts = [
        "# Normalization and augmentation: what was measured\n",
        "Made by `python -m benchmarks.transforms_page` from the figures in `transforms.json` beside it.\n",
        f"- command: `{record['command']}`, {record['date']}, {record['seconds']} s",
        f"- machine: {facts['cpu']}, {facts['cores']} cores, GPU {facts['gpu']}; one core for each benchmark",
        "- load average before and after: {} and {}".format(*record["load"]),
        f"- versions: Python {facts['python']}, {versions}\n",
        _READING,
    ]
    for title, file in FILES.items():
        parts.append(f"## {title}\n\n{_table(record['rows'], file)}\n")
    parts.append(_MEANING.format(summary=_summary(record["rows"])))
    return "\n".join(parts)


def _table(rows: Sequence[Record], file: str) -> str:
    cells = []
    chosen = [row for row in rows if row["workload"].startswith(f"{file}::")]
    for key in dict.fromkeys(map(_key, chosen)):
        verdicts = {row["kind"]: row for row in chosen if _key(row) == key}
        row = next(iter(verdicts.values()))
        name, reference = parse_workload_name(row["workload"]), parse_workload_name(row["reference"])
        test, _, parameters = name.test.partition("[")
        cells.append(
            (
                ", ".join(filter(None, (test, parameters.removesuffix("]").replace("-", ", ")))),
                reference.arm,
                row["metric"].replace("_", " "),
                _number(row["value"], row["metric"]),
                f"{_number(row['low'], row['metric'])} to {_number(row['high'], row['metric'])}",
                *(_bound(verdicts.get(kind)) for kind in ("limit", "aim")),
            )
        )
    columns = ("benchmark", "against", "metric", "measured", "interval", "limit", "aim")
    return markdown_table(columns, cells, numeric=(3, 4))


def _key(row: Record) -> tuple[str, str, str]:
    return row["workload"], row["reference"], row["metric"]


def _number(value: float | None, metric: str) -> str:
    """A speedup as a factor, an overhead as a percentage.

    >>> _number(2.5, "speedup"), _number(0.125, "overhead"), _number(None, "speedup")
    ('2.50', '12.5 %', 'unbounded')
    """
    if value is None:
        return "unbounded"
    return f"{value:.2f}" if metric == "speedup" else f"{100 * value:.1f} %"


def _bound(row: Record | None) -> str:
    if row is None:
        return ""
    words = "at least" if row["metric"] == "speedup" else "at most"
    return f"{words} {_number(row['bound'], row['metric'])}: {row['outcome']}"


def _summary(rows: Sequence[Record]) -> str:
    """How many limits and aims hold.

    >>> _summary([{"kind": "limit", "outcome": "kept"}, {"kind": "limit", "outcome": "unclear"}])
    '1 of 2 limits are kept, 1 unclear, 0 broken; 0 of 0 aims are reached.'
    """
    outcomes = {kind: [row["outcome"] for row in rows if row["kind"] == kind] for kind in ("limit", "aim")}
    limits, aims = outcomes["limit"], outcomes["aim"]
    return (
        f"{limits.count('kept')} of {len(limits)} limits are kept, {limits.count('unclear')} unclear, "
        f"{limits.count('broken')} broken; {aims.count('kept')} of {len(aims)} aims are reached."
    )


_READING = """\
All sides of a benchmark take turns (A B B A) in one process. `measured` is the median of the ratios of
neighboring turns, `interval` its confidence interval of 99 % or more. `speedup` is the time of the other
side over ours. `overhead` is the time that is added, over the time without it; `overhead share` is the
same time as a share of the whole. A limit is kept if the whole interval is on its good side, and unclear
if the interval contains it. An aim is judged in the same way and fails nothing: `broken` is not reached.
"""

_MEANING = """\
## What it means

{summary}
A limit has to hold on any machine; an aim is what a machine without other work reaches. Other work
disturbs both sides of a ratio, and makes the interval wider.

- Normalizing writes four bytes for each byte that it reads. Filling the same output without reading
  anything is the lower bound. A batch of 32 fills 19 MB, which the last-level cache of a server may
  hold: then filling never reaches memory, and the overhead can be larger than that of a batch of 128,
  which fills 77 MB.
- `normalize` uses numba where it is installed and the strides are regular, else plain torch, with the
  same bits.
- albumentations gets the same operations with the same ranges, in its fastest form: one affine map and
  one color jitter. Both sides draw new parameters for every image.
- The conservative mode spends nine tenths of its time in two calls of OpenCV, so little is left to gain
  there.

## Not measured

Nothing on a GPU. The benchmarks for it are in the same two files (`pytest -m gpu benchmarks`). All
kernels are tested in Triton's interpreter, and compiled for Hopper by
`tests/transforms/test_triton_compile.py`; none has run on a GPU.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transforms_page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page again")
    if not parser.parse_args().page:
        atomic.replace(FIGURES, (json.dumps(measure(), indent=1) + "\n").encode())
    atomic.replace(PAGE, render_page(json.loads(FIGURES.read_text())).encode())


if __name__ == "__main__":
    main()
