"""File systems behind URLs, through fsspec: the only place that imports it."""

from __future__ import annotations

from typing import Any

from perfsuite.errors import UsageError

_COMMON_PROTOCOLS = {"file", "gs", "s3", "az", "http", "https"}


def is_url(text: str) -> bool:
    """Whether a reference is a URL and not a path.

    >>> is_url("s3://bucket/runs"), is_url("benchmarks/baselines")
    (True, False)
    """
    return "://" in text


def open_filesystem(url: str, *, shared: bool = True, **options: Any) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it. `options` are credentials, endpoints and the like.

    With `shared=False` the connection is new. A connection does not survive a fork, so a process that was
    forked needs its own.
    """
    try:
        import fsspec
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(
            f"{url}: URLs need fsspec, which is not installed; pip install 'perfsuite[remote]'"
        ) from error
    protocol = url.split("://", 1)[0]
    if not shared:
        options["skip_instance_cache"] = True
    try:
        files, path = url_to_fs(url, **options)
    except ImportError as error:
        raise UsageError(f"{url}: {protocol}:// needs a package that is not installed ({error})") from error
    except ValueError as error:
        known = ", ".join(sorted(set(fsspec.available_protocols()) & _COMMON_PROTOCOLS))
        raise UsageError(
            f"{url}: unknown protocol {protocol!r} ({error}), expected {known} or another"
        ) from error
    return files, str(path).rstrip("/")
