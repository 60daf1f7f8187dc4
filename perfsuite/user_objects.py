"""Load an object of the user's own by `module:name`. The current folder is on the path, as for `python -m`.

>>> load_user_object("math:pi", "--model")
3.141592653589793
>>> load_user_object("math:pie", "--model")
Traceback (most recent call last):
perfsuite.errors.UsageError: --model math:pie: module math has no 'pie', expected one of its names; \
did you mean 'pi'?
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError


def is_reference(text: str) -> bool:
    """Whether the text is `module:name` rather than the name of something built in.

    >>> is_reference("my_models:Net"), is_reference("resnet18")
    (True, False)
    """
    return ":" in text


def load_user_object(reference: str, who: str) -> Any:
    """The object of `module:name`; the name may have dots. `who` is the option that named it."""
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise UsageError(f"{who}: {reference!r}, expected module:name, such as my_package.data:make_loader")
    subject: Any = _import_user_module(module_name, f"{who} {reference}")
    for part in name.split("."):
        if not hasattr(subject, part):
            raise UsageError(f"{who} {reference}: {_describe_missing(module_name, subject, part)}")
        subject = getattr(subject, part)
    return subject


def call_factory(factory: Callable[..., Any], who: str, **offered: Any) -> Any:
    """Call a factory with those of the offered keyword arguments that it accepts.

    >>> call_factory(lambda num_workers: num_workers, "--loader", num_workers=2, batch_size=8)
    2
    """
    accepted = accepted_keywords(factory)
    given = {name: value for name, value in offered.items() if accepted is None or name in accepted}
    try:
        inspect.signature(factory).bind(**given)
    except TypeError as error:
        raise UsageError(
            f"{who}: {error}, expected a factory that needs no other arguments than {', '.join(offered)}; "
            "give its other arguments defaults"
        ) from error
    except ValueError:  # a builtin without a signature
        pass
    return factory(**given)


def accepted_keywords(factory: Callable[..., Any]) -> frozenset[str] | None:
    """The keyword arguments of a callable; None where it accepts any.

    >>> accepted_keywords(lambda a, *, b=1: None) == {"a", "b"}, accepted_keywords(lambda **more: None)
    (True, None)
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:
        return frozenset()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(parameter.name for parameter in parameters if parameter.kind in by_keyword)


def _import_user_module(name: str, who: str) -> Any:
    folder = str(Path.cwd())
    if folder not in sys.path:  # it stays there: a spawned worker imports the module too
        sys.path.insert(0, folder)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.split(".")[: error.name.count(".") + 1] == error.name.split("."):
            raise UsageError(
                f"{who}: no module {error.name!r} in {folder} or among the installed packages, expected a "
                "module that can be imported; run the command in the folder that has it, or install it"
            ) from error
        raise UsageError(
            f"{who}: {name} imports {error.name!r}, which is not installed; install it"
        ) from error
    except Exception as error:
        raise UsageError(
            f"{who}: importing {name} raised {type(error).__name__}: {error}; expected a module that can be "
            f"imported, try python -c 'import {name}'"
        ) from error


def _describe_missing(module_name: str, subject: object, part: str) -> str:
    close = get_close_matches(part, dir(subject), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; dir({module_name}) lists them"
    where = f"module {module_name}" if inspect.ismodule(subject) else type(subject).__name__
    return f"{where} has no {part!r}, expected one of its names{hint}"
