"""The store of runs: a folder or URL of files, each written once and never changed."""

from __future__ import annotations

import builtins
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from perfsuite import atomic
from perfsuite.errors import StoreError, UsageError
from perfsuite.filesystems import is_url
from perfsuite.store import DEFAULT_RUNS, locations, schema, summaries
from perfsuite.store.run import Run
from perfsuite.store.summaries import RunSummary

_RUNS_AT_ONCE = 200  # enough for a remote store to fetch many at a time
_STORED_NAME = re.compile(r"(\d{4,})_(.+)")


class RunStore:
    """Runs in files `NNNN_name.json`.

    A reference is a stored name (`0007_main`), its number (`0007`), a name (`main`: the newest run of that
    name), `main@3` (the last three), a path, or a URL.
    """

    def __init__(
        self,
        root: str | Path = DEFAULT_RUNS,
        on_message: Callable[[str], None] = lambda message: None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """`on_message` receives what is wrong with unreadable runs, `on_progress` how many are summarized."""
        self.root = str(root)
        self._location = locations.open_location(root)
        self._on_message, self._on_progress = on_message, on_progress
        self._summaries: dict[tuple[str, str], RunSummary] = {}

    def save(self, run: Run, pytest_benchmark: Mapping[str, Any]) -> str:
        """Store a run and return its stored name. Never overwrites a run."""
        schema.validate_name(run.name)
        data = schema.dump(run, pytest_benchmark)
        if isinstance(self._location, locations.LocalFolder):
            atomic.remove_stale(self._location.path)
            _ignore_in_git(self._location.path)
        reference = self._create_numbered(run.name, data)
        stamp = self._read_stamps().get(reference)
        if stamp is not None:
            summaries.write(self._location, summaries.summarize_run(run, reference), stamp)
        return reference

    def list(self) -> builtins.list[str]:
        """The stored names, oldest first."""
        return sorted(self._read_stamps(), key=_sort_key)

    def load(self, reference: str | Path) -> Run:
        """The newest run that a reference names."""
        return self.select(reference)[-1]

    def latest(self, name: str | None = None) -> Run:
        """The newest run, of all or of those called `name`."""
        references = [each for each in self.list() if name is None or _run_name(each) == name]
        if not references:
            raise StoreError(
                f"{self.root}: holds no run{f' called {name!r}' if name else ''}; {self._hint()}"
            )
        return self._load_stored(references[-1])

    def select(self, reference: str | Path) -> tuple[Run, ...]:
        """All runs that a reference names, oldest first.

        A bare name means its newest run and its replicates: the runs of that name in the same series or, for
        a run of no series at a clean commit, the other runs of that name and commit. A folder means every run
        in it.
        """
        text = str(reference)
        if is_url(text):
            return _oldest_first(schema.parse_all(locations.read(text), text))
        if isinstance(reference, Path) or text.endswith(".json") or "/" in text:
            return _load_path(Path(text))
        return self._select_by_name(text)

    def history(self, fingerprint: str | None = None) -> Iterator[RunSummary]:
        """Summaries of the complete runs of an environment, oldest first."""
        stamps = self._read_stamps()
        self._read_summaries(stamps)
        for reference in sorted(stamps, key=_sort_key):
            summary = self._summaries.get((reference, stamps[reference]))
            if summary and summary.complete and fingerprint in (None, summary.fingerprint):
                yield summary

    def stream_history(self, on_run: Callable[[int, int], None]) -> Iterator[RunSummary]:
        """Summaries of all complete runs, oldest first, without keeping them; `on_run` counts."""
        stamps = self._read_stamps()
        references = sorted(stamps, key=_sort_key)
        for start in range(0, len(references), _RUNS_AT_ONCE):
            on_run(start, len(references))
            part = {reference: stamps[reference] for reference in references[start : start + _RUNS_AT_ONCE]}
            valid = summaries.read_all(self._location, part)
            for reference, stamp in part.items():
                summary = valid.get(reference) or self._rebuild_summary(reference, stamp)
                if summary is not None and summary.complete:
                    yield summary

    def _rebuild_summary(self, reference: str, stamp: str) -> RunSummary | None:
        try:
            return summaries.rebuild(self._location, reference, stamp)
        except StoreError as error:
            self._on_message(f"left out of the history: {error}")
            return None

    def _read_summaries(self, stamps: Mapping[str, str]) -> None:
        needed = {key: stamp for key, stamp in stamps.items() if (key, stamp) not in self._summaries}
        valid = summaries.read_all(self._location, needed)
        self._summaries |= {(reference, stamps[reference]): summary for reference, summary in valid.items()}
        missing = [reference for reference in needed if reference not in valid]
        for count, reference in enumerate(missing):
            self._on_progress(count, len(missing))
            summary = self._rebuild_summary(reference, stamps[reference])
            if summary is not None:
                self._summaries[reference, stamps[reference]] = summary
        if missing:
            self._on_progress(len(missing), len(missing))

    def _create_numbered(self, name: str, data: bytes) -> str:
        if isinstance(self._location, locations.RemoteFolder):
            # Two writers of an object store cannot exclude each other, so the name itself must be unique.
            name = f"{name}.{uuid.uuid4().hex[:12]}"
        number = 1 + max((_sort_key(each)[0] for each in self._read_stamps()), default=0)
        while True:
            reference = f"{number:04d}_{name}"
            try:
                self._location.create(f"{reference}.json", data)
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
        earlier = (self._load_stored(each) for each in self._replicates(called[:-1], newest))
        return (*earlier, newest)

    def _replicates(self, called: Iterable[str], newest: Run) -> Iterator[str]:
        if not newest.series and (newest.dirty or not newest.commit):
            return
        candidates = set(called)
        for each in self.history(newest.fingerprint):
            if each.reference in candidates and _is_replicate(each, newest):
                yield each.reference

    def _load_stored(self, reference: str) -> Run:
        name = f"{reference}.json"
        return schema.parse(self._location.read(name), f"{self.root}/{name}")

    def _read_stamps(self) -> dict[str, str]:
        return {name.removesuffix(".json"): stamp for name, stamp in self._location.stamps().items()}

    def _hint(self) -> str:
        names = sorted({_run_name(each) for each in self.list()})
        if not names:
            return "save one with: pytest benchmarks --perf-save NAME"
        return f"it holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"


def _is_replicate(run: RunSummary, newest: Run) -> bool:
    if newest.series:
        return run.series == newest.series
    return run.commit == newest.commit and not run.dirty


def _ignore_in_git(runs: Path) -> None:
    """Make git ignore the folder `.perfsuite` that holds the runs; a store elsewhere is the user's own."""
    if runs.absolute().parent.name != Path(DEFAULT_RUNS).parts[0]:
        return
    with suppress(FileExistsError):
        atomic.create(runs.parent / ".gitignore", b"*\n")


def _load_path(path: Path) -> tuple[Run, ...]:
    if path.is_dir() and path.suffix != ".json":
        files = sorted(each for each in path.glob("*.json") if not each.name.startswith("."))
        if not files:
            raise StoreError(f"{path}: a folder without runs, expected a file or a folder of runs")
        return tuple(run for each in files for run in _load_path(each))
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
