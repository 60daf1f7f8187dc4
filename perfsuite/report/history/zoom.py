"""Zoom for the plots of a page: one script in the page, allowed by its hash and nothing else."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@cache
def _script() -> str:
    return (files("perfsuite.report.history") / "zoom.js").read_text("utf-8")


def add_zoom(page: str) -> str:
    """The page with the script. Its plots and tables are complete without it."""
    script = _script()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"{_POLICY}; script-src 'sha256-{digest}'"
    head, found, rest = page.partition(f'content="{_POLICY}"')
    body, end, tail = rest.rpartition("</body>")
    if not found or not end:
        raise ValueError("the page has no content policy or no body, expected a rendered document")
    return f'{head}content="{policy}"{body}<script>{script}</script>\n{end}{tail}'
