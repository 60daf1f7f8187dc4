"""Load the HTML templates of reports and pages, with autoescape and without control characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfsuite.report.text import escape_lines, split_code

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

_PART_END = re.compile(r"::|/|(?<=[^/: ]{20})_")  # of a file or test, or of words in a long name
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
    environment.filters |= {"breakable": breakable, "with_code": with_code, **filters}
    environment.globals |= functions
    return environment.get_template(name)


def breakable(text: str) -> Markup:
    """Escape a name, and let it break where its parts end: a table of long names stays narrow.

    >>> str(breakable("test_a.py::test_<b>"))
    'test_a.py::<wbr>test_&lt;b&gt;'
    """
    from markupsafe import Markup, escape

    return Markup(_PART_END.sub(r"\g<0><wbr>", str(escape(escape_lines(text)))))  # noqa: S704 - escaped


def with_code(text: str) -> Markup:
    """Escape a sentence, and mark up what stands between backticks as code.

    >>> str(with_code("`a` is < `b`"))
    '<code>a</code> is &lt; <code>b</code>'
    """
    from markupsafe import Markup, escape

    parts = [str(escape(part)) for part in split_code(escape_lines(text))]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return Markup("".join(parts))  # noqa: S704 - escaped


def _escape_controls(value: object) -> object:
    """Escape the control characters of every value that a template prints; autoescape does the HTML."""
    return escape_lines(value) if type(value) is str else value
