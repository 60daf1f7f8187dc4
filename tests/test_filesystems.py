"""URLs in errors have no passwords, and a store that never answers is an error."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite import filesystems
from perfsuite.cli import main
from perfsuite.data.sources.remote import remote_folder
from perfsuite.errors import DataError, StoreError, UsageError, redact_url
from perfsuite.filesystems import open_filesystem
from perfsuite.store.runs import RunStore
from tests.store.sample_runs import a_run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/runs", "s3://bucket/runs"),
        ("ftp://ann:secret@host/a", "ftp://ann:***@host/a"),
        ("ftp://ann:se:cr@et@host/a", "ftp://ann:***@host/a"),
        ("ftp://:secret@host", "ftp://:***@host"),
        ("ftp://ann@host", "ftp://ann@host"),
        ("https://host/a?X-Amz-Signature=secret&x=secret", "https://host/a?X-Amz-Signature=***&x=***"),
        ("ftp://host:21/a@b", "ftp://host:21/a@b"),
        ("a path with ?a=1", "a path with ?a=1"),
        ("ftp:/ann:secret@host/a", "ftp:/ann:***@host/a"),
        ("two: a://b:secret@c and d://e:secret@f", "two: a://b:***@c and d://e:***@f"),
    ],
)
def test_passwords_and_signatures_are_redacted(text: str, expected: str) -> None:
    assert redact_url(text) == expected


def test_an_unknown_protocol_does_not_echo_the_password() -> None:
    with pytest.raises(UsageError) as raised:
        open_filesystem("nosuch://ann:secret@host/a")
    assert "secret" not in str(raised.value)
    assert "nosuch://ann:***@host/a" in str(raised.value)


SECRET = "ftp://ann:secret@127.0.0.1:1/runs"  # where nobody listens


@pytest.mark.parametrize(
    "words",
    [
        ["compare", f"{SECRET}/a.json", f"{SECRET}/b.json"],
        ["compare", "main", "head", "--store", SECRET],
        ["report", "--store", SECRET],
        ["history", "--store", SECRET],
        ["export", "--format", "csv", "--store", SECRET],
        ["baseline", "list", "--baselines", SECRET],
        ["baseline", "accept", "main", "--store", SECRET],
        ["baseline", "prune", "a/b", "--baselines", SECRET],
        ["render", f"{SECRET}/gate.json"],
        ["merge", f"{SECRET}/gate.json"],
    ],
    ids=" ".join,
)
def test_no_command_echoes_a_password(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) in (2, 13)
    captured = capsys.readouterr()
    assert "secret" not in captured.out + captured.err
    assert "perfsuite " in captured.err


def test_a_stored_run_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = "memory://ann:secret@host/runs"
    for number in range(2):
        RunStore(root).save(a_run(f"run{number}", f"c{number}", seconds={"test_a": 0.01}), {})
    (first, second) = RunStore(root).list()
    references = [f"{root}/{first}.json", f"{root}/{second}.json"]
    main(["compare", *references, "--store", root, "--report", "compared"])
    assert main(["report", *references, "--store", root]) == 0
    captured = capsys.readouterr()
    assert "test_a" in captured.out
    assert "secret" not in captured.out + captured.err
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"ann:***@host" in data for data in written)
    assert not any(b"secret" in data for data in written)
    with pytest.raises(StoreError, match=r"memory://ann:\*\*\*@host/runs: holds no run 'absent'"):
        RunStore(root).load("absent")


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield server.getsockname()[1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("protocol", ["s3", "http"])
def test_a_store_that_never_answers_is_an_error(
    silent_server: int, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs" if protocol == "s3" else "aiohttp")
    monkeypatch.setattr(filesystems, "READ_SECONDS", 0.2)
    address = f"http://127.0.0.1:{silent_server}"
    options = {"key": "a", "secret": "b", "endpoint_url": address} if protocol == "s3" else {}
    with pytest.raises(DataError, match=r"(?i)time-?out.*check the address"):
        remote_folder("s3://bucket/images" if protocol == "s3" else f"{address}/images", **options)


def test_limits_that_are_given_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    files, _ = open_filesystem("s3://bucket", shared=False, config_kwargs={"read_timeout": 7})
    assert files.config_kwargs["read_timeout"] == 7
    assert files.config_kwargs["connect_timeout"] == filesystems.CONNECT_SECONDS
