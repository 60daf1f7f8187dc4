"""URLs in errors have no passwords, and a store that never answers is an error."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from perfsuite import filesystems
from perfsuite.data.sources.remote import remote_folder
from perfsuite.errors import DataError, UsageError
from perfsuite.filesystems import open_filesystem, redact_url


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
