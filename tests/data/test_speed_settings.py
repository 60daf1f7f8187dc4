"""Settings files: what advise writes is what make_loaders reads; wrong ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsuite.data.loaders import make_loaders
from perfsuite.data.speed_settings import SpeedSettings, read_speed_settings
from perfsuite.data.synthetic import dataset
from perfsuite.errors import UsageError

SETTINGS = SpeedSettings(batch_size=8, num_workers=1, engine="threads", prefetch_factor=3, decoder="pillow")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "loader.toml"
    path.write_text(SETTINGS.to_toml(["# a comment"]))
    assert read_speed_settings(path) == SETTINGS
    path.write_text("")
    assert read_speed_settings(path) == SpeedSettings()


@pytest.fixture(scope="module")
def folder() -> Path:
    return dataset.cached_dataset(images=40, classes=2, size=(64, 48))


def test_make_loaders_takes_a_file_or_a_value_and_arguments_win(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "loader.toml"
    path.write_text(SETTINGS.to_toml())
    for settings in (path, str(path), SETTINGS):
        loaders = make_loaders(folder, image_size=32, settings=settings)
        assert loaders.train.batch_size == 8
        assert [loaders.info[name] for name in ("num_workers", "engine", "decoder")] == [
            1,
            "threads",
            "pillow",
        ]
    changed = make_loaders(folder, 4, 0, image_size=32, settings=path)
    assert (changed.train.batch_size, changed.info["num_workers"]) == (4, 0)
    default = make_loaders(folder, 32, engine="auto", image_size=32, settings=path)
    assert (default.train.batch_size, default.info["engine"]) == (32, "auto"), "also one that is the default"
    plain = make_loaders(folder, image_size=32, settings=SpeedSettings(num_workers=2))
    assert (plain.train.batch_size, plain.info["engine"]) == (32, "auto")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"num_workers = -1", "num_workers: -1, expected a whole number of 0 or more"),
        (b"batch_size = 0", "batch_size: 0, expected a whole number of 1 or more"),
        (b"batch_size = true", "batch_size: True, expected a whole number"),
        (b"engine = 1", "engine: 1, expected text"),
        (b"surprise = 1", "'surprise', expected one of batch_size"),
        (b"= 1", "expected TOML"),
        (b"\xff", "expected TOML"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"#" * 100_000, "more than 65536 bytes"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else "",
)
def test_a_wrong_file_is_named_with_what_is_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "loader.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"loader\.toml: .*{message}|loader\.toml: {message}"):
        read_speed_settings(path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        read_speed_settings(tmp_path / "absent.toml")
