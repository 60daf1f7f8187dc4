"""Load the HTML templates of reports and pages, with autoescape and without control characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfsuite.report.text import escape_lines

if TYPE_CHECKING:
    from jinja2 import Template

Functions = Mapping[str, Callable[..., Any]]  # by the names that the template uses


def load_template(name: str, filters: Functions, functions: Functions) -> Template:
    """The template `name` of report/templates/. An undefined name in it is an error."""
    # jinja2 takes a tenth of a second to import, and most commands write no HTML.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("perfsuite.report"),
        autoescape=True,
        finalize=_escape_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    environment.globals |= functions
    return environment.get_template(name)


def _escape_controls(value: object) -> object:
    """Escape the control characters of every value that a template prints; autoescape does the HTML."""
    return escape_lines(value) if type(value) is str else value
