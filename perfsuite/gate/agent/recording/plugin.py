"""The pytest hooks of a recording: each test, shared fixture and collected file has a scope of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .recorder import COMMON, Recorder


class RecorderPlugin:
    """Records the whole session, from the loading of conftest files to the end of the last test."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        recorder.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        self.recorder.watch_files()  # pytest has read its configuration and the installed plugins

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Leave out, of the files named on the command line, those without a test of this recording."""
        folder, named = session.config.invocation_params.dir, session.config.args
        named[:] = [each for each in named if not self._is_left_out(folder / each.partition("::")[0])]

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """Leave out, in folders, the files without a test of this recording."""
        return True if self._is_left_out(collection_path) else None

    def _is_left_out(self, path: Path) -> bool:
        wanted = self.recorder.request["test_files"]
        if wanted is None or path.name in {"conftest.py", "__init__.py"} or not path.is_file():
            return False
        return str(_relative(path, Path(self.recorder.request["root"]).resolve())) not in wanted

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        if not isinstance(collector, pytest.Module):
            return (yield)
        with self.recorder.entered(collector.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: pytest.FixtureRequest) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        with self.recorder.entered(_fixture_scope(fixturedef.argname)):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.recorder.enter(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        scope = self.recorder.scopes[item.nodeid]
        scope.uses_scopes |= {_fixture_scope(name) for name in getattr(item, "fixturenames", ())}
        scope.uses_scopes |= {node.nodeid for node in item.listchain() if isinstance(node, pytest.Module)}

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self) -> None:
        self.recorder.enter(COMMON)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.recorder.write()


def _fixture_scope(name: str) -> str:
    return f"fixture {name}"


def _relative(path: Path, root: Path) -> Path:
    resolved = path.resolve()
    return resolved.relative_to(root) if resolved.is_relative_to(root) else resolved
