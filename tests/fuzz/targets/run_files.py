"""Files of runs, of perfsuite and of pytest-benchmark, as `perfsuite compare` reads them; and summaries."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

from perfsuite.store import schema
from perfsuite.store.runs import RunStore
from tests.fuzz.mutations import mutate_bytes, mutate_document, mutate_json
from tests.fuzz.target import FindingError, Target, run_command
from tests.store.sample_runs import a_run

PREFIX = b'{"perfsuite": {"checksum": "sha256:'
CODES = {0, 1, 2, 10, 12, 13}
PLAIN = {
    "machine_info": {"system": "Linux", "machine": "x86_64", "cpu": {"brand": "x", "count": 2}},
    "commit_info": {"id": "c0ffee", "dirty": False},
    "datetime": "2026-08-01T12:00:00",
    "benchmarks": [
        {"fullname": "t.py::t", "stats": {"data": [0.1, 0.2, 0.1], "median": 0.1, "iterations": 1}}
    ],
}


def corpus() -> Sequence[bytes]:
    run = a_run("main", "c0", seconds={"test_a": 0.01, "test_b": 0.02}, counters={"copies": 1})
    return [json.dumps(PLAIN).encode(), schema.dump(run, {}), schema.dump(run, {}, replicates=[run, run])]


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change a document; a run of perfsuite gets a new checksum, or nothing behind it would be reached."""
    if not data.startswith(PREFIX) or rng.random() < 0.2:
        return mutate_json(rng, data)
    if rng.random() < 0.1:
        return mutate_bytes(rng, data)
    document = json.loads(data)
    own = document.pop("perfsuite")
    own.pop("checksum")
    changed = mutate_document(rng, own)
    body = json.dumps(changed if isinstance(changed, dict) else {"schema": changed})[1:]
    rest = json.dumps(document)[1:]
    blank = f'{PREFIX.decode()}{"0" * 64}", {body}, {rest}'.encode("utf-8", "surrogatepass")
    return blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode(), 1)


def try_one(data: bytes, folder: Path) -> None:
    os.chdir(folder)
    if not Path(".perfsuite").exists():
        for number in range(5):
            RunStore().save(a_run("head", "c1", seconds={"test_a": 0.01, "test_b": 0.02 + number / 1e6}), {})
    Path("fuzzed.json").write_bytes(data)
    for words in (["fuzzed.json", "head"], ["head", "fuzzed.json"], ["fuzzed.json", "fuzzed.json"]):
        code, _, error = run_command("compare", *words)
        if code not in CODES:
            raise FindingError(f"compare: exit code {code}: {error}")
    summary = next(Path(".perfsuite/runs/.summaries").glob("*.json"))
    summary.write_bytes(data)
    run_command("compare", "head", "head")


TARGET = Target("run_files", corpus, mutate, try_one)
