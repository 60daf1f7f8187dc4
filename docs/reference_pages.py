"""Write the reference from the code: commands, pytest options, markers, ini keys, metrics and modules.

As a Sphinx extension it writes `reference/generated/` before the pages are read. Git ignores that folder.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from perfsuite.cli import program
from perfsuite.judge.metrics import METRICS
from perfsuite.judge.units import MetricKind
from perfsuite.measure.counters.registry import DIRECTIONS
from perfsuite.pytest_plugin.markers import MARKERS
from perfsuite.pytest_plugin.options import add_options

GENERATED = Path(__file__).parent / "reference" / "generated"

# The modules that a program may import, by theme. What a module defines without an underscore is public.
MODULES = {
    "Loading": (
        "perfsuite.data.loaders",
        "perfsuite.data.loader",
        "perfsuite.data.fast_image_folder",
        "perfsuite.data.device_dataset",
        "perfsuite.data.check",
        "perfsuite.data.cache.cached_source",
        "perfsuite.data.sources.base",
        "perfsuite.data.sources.files",
        "perfsuite.data.sources.remote",
        "perfsuite.data.sources.shards",
        "perfsuite.data.sources.splits",
        "perfsuite.data.sources.maps",
    ),
    "Transforms": (
        "perfsuite.transforms.normalization.api",
        "perfsuite.transforms.normalization.conditional",
        "perfsuite.transforms.normalization.channel_stats",
        "perfsuite.transforms.augment.modes",
        "perfsuite.transforms.augment.parameters",
        "perfsuite.transforms.augment.cpu",
        "perfsuite.transforms.augment.device",
        "perfsuite.transforms.letterbox",
        "perfsuite.transforms.labels.labels",
    ),
    "Training": (
        "perfsuite.training.models",
        "perfsuite.training.step.step",
        "perfsuite.training.step.presets",
        "perfsuite.training.step.optimizers",
        "perfsuite.training.step.parity",
        "perfsuite.training.run.trainer",
        "perfsuite.training.run.checkpoint",
        "perfsuite.training.inference.model_cache",
        "perfsuite.training.inference.predict",
        "perfsuite.training.inference.export",
    ),
    "Measuring": ("perfsuite.pytest_plugin.fixture", "perfsuite.stages", "perfsuite.measure.measurement"),
}


_COMMAND = re.compile(r"^(perfsuite|torchrun|git) ", re.MULTILINE)


def escape(text: str) -> str:
    """Escape what Markdown would take for markup, except code between backquotes."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<>\[\]|#~])", r"\\\1", part) for part in parts
    )


def help_to_markdown(text: str) -> str:
    """Turn the text of a help into Markdown: indented lines are commands, the rest are paragraphs."""
    blocks: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        for is_code, lines in _runs(paragraph.splitlines()):
            body = "\n".join(line[2:] if is_code else escape(line) for line in lines)
            language = "sh" if _COMMAND.search(body) else "text"
            blocks.append(f"```{language}\n{body}\n```" if is_code else body)
    return "\n\n".join(blocks)


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Successive lines that are all indented, or all not."""
    run: list[str] = []
    for line in lines:
        if run and line.startswith("  ") != run[0].startswith("  "):
            yield run[0].startswith("  "), run
            run = []
        run.append(line)
    if run:
        yield run[0].startswith("  "), run


def command_page(parser: argparse.ArgumentParser, level: int = 1) -> str:
    """The help of a command and of its actions."""
    parts = [f"{'#' * level} {parser.prog if level > 1 else 'Commands'}"]
    parts += [help_to_markdown(text) for text in (parser.description, parser.epilog) if text]
    actions = [action for action in parser._actions if action.dest not in ("help", "version")]
    commands = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    if rows := [_option_row(parser, action) for action in actions if action not in commands]:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *rows]))
    for action in commands:
        parts += [command_page(command, level + 1) for command in action.choices.values()]
    return "\n\n".join(parts)


def _option_row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = parser._get_formatter()._format_args(action, action.metavar or action.dest.upper())
    names = ", ".join(f"`{name} {value}`".replace(" `", "`") for name in action.option_strings)
    text = (action.help or "") % {"default": action.default, "prog": parser.prog}
    if action.choices is not None and str(next(iter(action.choices))) not in text:
        text += f": {', '.join(map(str, action.choices))}"
    return f"| {names or f'`{value}`'} | {escape(text)} |"


class OptionRecorder:
    """Takes the place of pytest's parser, and records the options and ini keys that are added."""

    def __init__(self) -> None:
        self.options: list[tuple[str, str]] = []
        self.ini: list[tuple[str, str]] = []

    def getgroup(self, name: str, description: str = "") -> OptionRecorder:
        return self

    def addoption(self, name: str, **how: Any) -> None:
        value = how.get("metavar") or ("|".join(how["choices"]) if "choices" in how else "")
        self.options.append((f"{name} {value}".strip(), how["help"]))

    def addini(self, name: str, help: str, default: str = "") -> None:
        self.ini.append((name, f"{help} (`{default}`)"))


def pytest_page() -> str:
    """The options, ini keys and markers of the pytest plugin, and what a limit may be on."""
    recorder = OptionRecorder()
    add_options(recorder)  # type: ignore[arg-type]
    markers = [marker.split(": ", 1) for marker in MARKERS]
    return "\n\n".join(
        [
            "# pytest options, markers, ini keys",
            "## Options",
            _table("option", recorder.options),
            "## Keys of pytest.ini, or of `[tool.pytest.ini_options]`",
            _table("key", recorder.ini),
            "## Markers",
            _table("marker", [(name, meaning) for name, meaning in markers]),
            "## Metrics of limits",
            "A rate is `<unit>_per_second` of any unit, and an energy `joules_per_<item>`. A counter of the"
            " project, counted by `perfsuite.stages.count_event`, is a metric too.",
            _table("metric", sorted((metric.name, _describe(metric)) for metric in METRICS.values())),
        ]
    )


def _describe(metric: Any) -> str:
    if metric.kind is MetricKind.COUNT:
        return f"counter; {DIRECTIONS[metric.name].name.lower().replace('_', ' ')}"
    limit = "floor" if metric.more_is_better else "ceiling"
    ratio = ", of `perf.pair` and `perf.race`" if metric.is_ratio else ""
    return f"{limit}; {metric.kind.value}{ratio}"


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {title} | meaning |", "|---|---|"]
    return "\n".join(
        [*lines, *(f"| `{name.replace('|', '&#124;')}` | {escape(text)} |" for name, text in rows)]
    )


def python_page() -> str:
    """The public classes and functions of `MODULES`."""
    parts = ["# Python"]
    for theme, modules in MODULES.items():
        parts.append(f"## {theme}")
        for name in modules:
            names = public_names(name)
            directives = "\n".join(
                f".. auto{'class' if inspect.isclass(getattr(import_module(name), each)) else 'function'}::"
                f" {name}.{each}\n"
                + ("   :members:\n" if inspect.isclass(getattr(import_module(name), each)) else "")
                for each in names
            )
            parts.append(f"### {name}\n\n```{{eval-rst}}\n{directives}```")
    return "\n\n".join(parts)


def public_names(module_name: str) -> list[str]:
    """The classes and functions that a module defines, in the order of its source."""
    module = import_module(module_name)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module_name
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": lambda: command_page(program.build_parser(program.command_names())),
    "pytest.md": pytest_page,
    "python.md": python_page,
}


def write_pages(folder: Path = GENERATED) -> None:
    """Write all pages; a page that has not changed keeps its time, so that Sphinx does not read it again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        text = make().rstrip() + "\n"
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def skip_foreign_members(
    app: Any, what: str, name: str, value: object, skip: bool, options: object
) -> bool | None:
    """Leave out functions of other packages that a class has as an attribute, such as a loss."""
    module = getattr(value, "__module__", None) or "perfsuite"
    return None if module.startswith(("perfsuite", "builtins")) else True


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this; the pages must exist before it looks for documents."""
    app.connect("config-inited", lambda app, config: write_pages())
    app.connect("autodoc-skip-member", skip_foreign_members)
    return {"parallel_read_safe": True}
