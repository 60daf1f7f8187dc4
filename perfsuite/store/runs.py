"""Every run that was saved: a folder or URL of files, each written once and never changed."""

from __future__ import annotations

import builtins
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfsuite import atomic
from perfsuite.errors import StoreError, UsageError
from perfsuite.store import DEFAULT_RUNS, locations, schema, summaries
from perfsuite.store.schema import Run
from perfsuite.store.summaries import RunSummary

_SECONDS_BETWEEN_MESSAGES = 2.0
_STORED_NAME = re.compile(r"(\d{4,})_(.+)")


class RunStore:
    """Runs under `NNNN_name.json`.

    A reference is a stored name (`0007_main`), its number (`0007`), a name (`main`: the newest run called
    so), `main@3` (the last three), a path, or a URL.
    """

    def __init__(self, root: str | Path = DEFAULT_RUNS, tell: Callable[[str], None] | None = None) -> None:
        """`tell` hears of runs that cannot be read, and of what takes long."""
        self.root = str(root)
        self._place = locations.open_location(root)
        self._tell = tell or (lambda _: None)
        self._known: dict[tuple[str, str], RunSummary] = {}

    def save(self, run: Run, pytest_benchmark: Mapping[str, Any]) -> str:
        """Store a run and return the name it got; none that is there is ever overwritten."""
        schema.validate_name(run.name)
        data = schema.dump(run, pytest_benchmark)
        if isinstance(self._place, locations.LocalFolder):
            atomic.remove_stale(self._place.path)
        reference = self._create_numbered(run.name, data)
        stamp = self._read_stamps().get(reference)
        if stamp is not None:
            summaries.write(self._place, summaries.summarize_run(run, reference), stamp)
        return reference

    def list(self) -> builtins.list[str]:
        """The stored names, oldest first."""
        return sorted(self._read_stamps(), key=_sort_key)

    def load(self, reference: str | Path) -> Run:
        """The run that a reference names; of several the newest."""
        return self.select(reference)[-1]

    def latest(self, name: str | None = None) -> Run:
        """The newest run, of all or of those called `name`."""
        found = [each for each in self.list() if name is None or _run_name(each) == name]
        if not found:
            raise StoreError(
                f"{self.root}: holds no run{f' called {name!r}' if name else ''}; {self._hint()}"
            )
        return self._load_stored(found[-1])

    def select(self, reference: str | Path) -> tuple[Run, ...]:
        """All runs that a reference names, oldest first.

        A bare name means its newest run and, where that commit was clean, the other runs of that name at the
        same commit: they are replicates. A folder means every run in it.
        """
        text = str(reference)
        if locations.is_url(text):
            return _oldest_first(schema.parse_all(locations.read(text), text))
        if isinstance(reference, Path) or text.endswith(".json") or "/" in text:
            return _load_path(Path(text))
        return self._select_by_name(text)

    def history(self, fingerprint: str | None = None) -> Iterator[RunSummary]:
        """Summaries of the complete runs of an environment, oldest first."""
        stamps = self._read_stamps()
        self._read_summaries(stamps)
        for reference in sorted(stamps, key=_sort_key):
            summary = self._known.get((reference, stamps[reference]))
            if summary and summary.complete and fingerprint in (None, summary.fingerprint):
                yield summary

    def _read_summaries(self, stamps: Mapping[str, str]) -> None:
        wanted = {key: stamp for key, stamp in stamps.items() if (key, stamp) not in self._known}
        found = summaries.read_all(self._place, wanted)
        self._known |= {(reference, stamps[reference]): summary for reference, summary in found.items()}
        missing = [reference for reference in wanted if reference not in found]
        for reference in _with_progress(missing, f"{self.root}: summing up runs", self._tell):
            try:
                summary = summaries.rebuild(self._place, reference, stamps[reference])
            except StoreError as damage:
                self._tell(f"left out of the history: {damage}")
            else:
                self._known[reference, stamps[reference]] = summary

    def _create_numbered(self, name: str, data: bytes) -> str:
        if isinstance(self._place, locations.RemoteFolder):
            # Two writers of an object store cannot see each other: the name itself must be unique.
            name = f"{name}.{uuid.uuid4().hex[:12]}"
        number = 1 + max((_sort_key(each)[0] for each in self._read_stamps()), default=0)
        while True:
            reference = f"{number:04d}_{name}"
            try:
                self._place.create(f"{reference}.json", data)
            except FileExistsError:
                number += 1
            else:
                return reference

    def _select_by_name(self, text: str) -> tuple[Run, ...]:
        name, counted, count = text.partition("@")
        if counted and not (count.isdigit() and int(count) > 0):
            raise UsageError(f"{text!r}: {count!r} is no number of runs, expected for example {name}@3")
        stored = self.list()
        exact = [
            each for each in stored if each == name or (name.isdigit() and _sort_key(each)[0] == int(name))
        ]
        if exact and not counted:
            return (self._load_stored(exact[-1]),)
        called = [each for each in stored if _run_name(each) == name]
        if not called and Path(text).exists():
            return _load_path(Path(text))
        if not called:
            raise StoreError(f"{self.root}: holds no run {name!r}; {self._hint()}")
        if counted:
            return tuple(map(self._load_stored, called[-int(count) :]))
        newest = self._load_stored(called[-1])
        if newest.dirty or not newest.commit:
            return (newest,)
        earlier = (self._load_stored(each) for each in self._same_commit(called[:-1], newest))
        return (*earlier, newest)

    def _same_commit(self, called: Iterable[str], newest: Run) -> Iterator[str]:
        wanted = set(called)
        for each in self.history(newest.fingerprint):
            if each.reference in wanted and each.commit == newest.commit and not each.dirty:
                yield each.reference

    def _load_stored(self, reference: str) -> Run:
        name = f"{reference}.json"
        return schema.parse(self._place.read(name), f"{self.root}/{name}")

    def _read_stamps(self) -> dict[str, str]:
        return {name.removesuffix(".json"): stamp for name, stamp in self._place.stamps().items()}

    def _hint(self) -> str:
        names = sorted({_run_name(each) for each in self.list()})
        if not names:
            return "save one with: pytest benchmarks --perf-save NAME"
        return f"it holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"


def _with_progress(names: Sequence[str], what: str, tell: Callable[[str], None]) -> Iterator[str]:
    said = time.monotonic()
    for count, each in enumerate(names):
        if time.monotonic() - said > _SECONDS_BETWEEN_MESSAGES:
            said = time.monotonic()
            tell(f"{what}, {count} of {len(names)}")
        yield each


def _load_path(path: Path) -> tuple[Run, ...]:
    if path.is_dir() and path.suffix != ".json":
        inside = sorted(each for each in path.glob("*.json") if not each.name.startswith("."))
        if not inside:
            raise StoreError(f"{path}: is a folder without runs, expected a file or a folder of them")
        return tuple(run for each in inside for run in _load_path(each))
    return _oldest_first(schema.parse_all(locations.read(path), str(path)))


def _oldest_first(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    return runs[::-1]


def _sort_key(reference: str) -> tuple[int, str]:
    match = _STORED_NAME.fullmatch(reference)
    return (int(match[1]) if match else 0, reference)


def _run_name(reference: str) -> str:
    """The name in a stored name.

    >>> _run_name("0007_main"), _run_name("0008_main.6f1f0d5c9a3e")
    ('main', 'main')
    """
    match = _STORED_NAME.fullmatch(reference)
    return re.sub(r"\.[0-9a-f]{12}$", "", match[2] if match else reference)
