"""File systems behind URLs, through fsspec: the only place that imports it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from perfsuite.errors import StoreError, UsageError, redact_url

# A store that accepts a connection and never answers is an error after about this long, not after minutes.
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
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
            f"{redact_url(url)}: URLs need fsspec, which is not installed; pip install 'perfsuite[remote]'"
        ) from error
    protocol, shown = url.split("://", 1)[0], redact_url(url)
    options = _with_time_limits(protocol, options)
    if not shared:
        options["skip_instance_cache"] = True
    try:
        files, path = url_to_fs(url, **options)
    except ImportError as error:
        raise UsageError(
            f"{shown}: {protocol}:// needs a package that is not installed ({redact_url(str(error))})"
        ) from error
    except ValueError as error:
        known = ", ".join(sorted(set(fsspec.available_protocols()) & _COMMON_PROTOCOLS))
        raise UsageError(
            f"{shown}: unknown protocol {protocol!r} ({redact_url(str(error))}), expected {known} or another"
        ) from error
    except Exception as error:  # each store has its own error types
        raise StoreError(
            f"{shown}: {type(error).__name__}: {error}; "
            "check the address, the credentials and that the store answers"
        ) from error
    return files, str(path).rstrip("/")


def _with_time_limits(protocol: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Add time limits for connecting and reading where the store has such options; given ones stay."""
    if protocol in ("s3", "s3a"):
        limits = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": 2},
        }
        return {**options, "config_kwargs": {**limits, **options.get("config_kwargs", {})}}
    if protocol in ("http", "https") and find_spec("aiohttp") is not None:
        aiohttp = import_module("aiohttp")  # fsspec's own requirement for HTTP
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        return {**options, "client_kwargs": {"timeout": limit, **options.get("client_kwargs", {})}}
    return dict(options)
