"""Objects of the user's own by `module:name`: the current folder is on the path, and mistakes are named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from perfsuite.errors import UsageError
from perfsuite.user_objects import accepted_keywords, call_factory, load_user_object


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current folder, which is not on the path."""
    name = f"mine_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text("VALUE = 3\nclass Box:\n    inner = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    yield name
    sys.modules.pop(name, None)


def test_the_current_folder_is_on_the_path(module: str) -> None:
    assert load_user_object(f"{module}:VALUE", "--model") == 3
    assert load_user_object(f"{module}:Box.inner", "--model") == 5


def test_a_missing_name_is_named_with_a_similar_one(module: str) -> None:
    with pytest.raises(
        UsageError, match=rf"--model {module}:VALU: module {module} has no 'VALU'.*mean 'VALUE'"
    ):
        load_user_object(f"{module}:VALU", "--model")
    with pytest.raises(UsageError, match="has no 'zzz'"):
        load_user_object(f"{module}:zzz", "--model")


@pytest.mark.parametrize("reference", ["absent_module_of_mine:x", "absent_package.part:x"])
def test_a_missing_module_is_named_with_the_folder(reference: str) -> None:
    with pytest.raises(UsageError, match=r"no module 'absent_(module_of_mine|package)' in .*install it"):
        load_user_object(reference, "--loader")


def test_a_module_that_imports_something_missing_names_that(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("import absent_dependency\n")
    with pytest.raises(UsageError, match="imports 'absent_dependency', which is not installed"):
        load_user_object(f"{module}:VALUE", "--loader")


@pytest.mark.parametrize("source", ["1 / 0", "def f(:"])
def test_a_module_that_fails_is_an_error_with_its_cause(module: str, tmp_path: Path, source: str) -> None:
    (tmp_path / f"{module}.py").write_text(source)
    with pytest.raises(UsageError, match=r"importing .* raised (ZeroDivisionError|SyntaxError)"):
        load_user_object(f"{module}:VALUE", "--loader")


@pytest.mark.parametrize("reference", ["math", ":pi", "math:"])
def test_a_reference_without_module_or_name_is_an_error(reference: str) -> None:
    with pytest.raises(UsageError, match="expected module:name"):
        load_user_object(reference, "--model")


def test_a_factory_gets_only_what_it_accepts() -> None:
    def some(batch_size: int, depth: int = 1) -> tuple[int, int]:
        return batch_size, depth

    assert call_factory(some, "--loader", batch_size=4, num_workers=2) == (4, 1)
    assert call_factory(dict, "--loader", batch_size=4) == {}
    assert call_factory(lambda **given: given, "--loader", batch_size=4) == {"batch_size": 4}
    assert accepted_keywords(some) == frozenset({"batch_size", "depth"})


def test_a_factory_that_needs_more_is_an_error() -> None:
    with pytest.raises(
        UsageError, match="'folder', expected a factory that needs no other arguments than num"
    ):
        call_factory(lambda folder: folder, "--loader", num_workers=2)
