from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from perfsuite.discovery import discover, discover_by_name


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "planted_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "first.py").write_text("ENTRY = 1")
    (folder / "second.py").write_text("ENTRY = 2")
    (folder / "shared.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import planted_package  # type: ignore[import-not-found]

    yield planted_package
    for name in [name for name in sys.modules if name.startswith("planted_package")]:
        del sys.modules[name]


def test_the_entries_of_all_modules_are_collected_and_modules_without_one_are_ignored(
    package: ModuleType,
) -> None:
    assert discover(package, "ENTRY", int) == (1, 2)


def test_entries_have_the_names_of_their_modules_as_options_spell_them(package: ModuleType) -> None:
    (Path(package.__path__[0]) / "with_two_words_.py").write_text("ENTRY = 3")
    assert discover_by_name(package, "ENTRY", int) == {"first": 1, "second": 2, "with-two-words": 3}


def test_an_entry_of_another_type_is_an_error(package: ModuleType) -> None:
    with pytest.raises(TypeError, match="ENTRY is 1, expected a str"):
        discover(package, "ENTRY", str)
