"""The one schema of `[tool.perfsuite]` in pyproject.toml, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from perfsuite.errors import UsageError
from perfsuite.gate.project_layout import read_file
from perfsuite.gate.settings import RANGES, Exemption, GateSettings
from perfsuite.paths import stays_inside
from perfsuite.toml_file import parse_toml

SETTINGS_FILE = "pyproject.toml"
RULES = ("alpha", "tolerance", "mde", "max_pairs", "quarantine", "tolerances")  # how a gate judges
_MAX_SHOWN = 80  # characters of a wrong value in a message
_EXEMPTION_KEYS = ("expires", "reason", "test")

Check = Callable[[str, object], Any]  # who, value -> the value as GateSettings takes it


def read_project_settings(root: Path, today: date) -> dict[str, Any]:
    """The settings of the project at `root`, as arguments of GateSettings. An expired entry is an error."""
    path = root / SETTINGS_FILE
    arguments = parse_project_settings(read_file(path), str(path))
    for kind in ("quarantine", "tolerances"):
        for entry in arguments[kind]:
            _refuse_expired(f"{path}: {_who_exemption(kind)} {entry.test}", entry, today)
    return arguments


def parse_project_settings(text: bytes, source: str) -> dict[str, Any]:
    """The settings in the text of a pyproject.toml, as arguments of GateSettings.

    >>> parse_project_settings(b"[tool.perfsuite.gate]\\nalpha = 0.02", "pyproject.toml")["alpha"]
    0.02
    >>> parse_project_settings(b"[tool.perfsuite.gate]\\nalpha = 'x'", "pyproject.toml")
    Traceback (most recent call last):
    perfsuite.errors.UsageError: pyproject.toml: [tool.perfsuite.gate] alpha: 'x', expected a number above \
1e-09 and below 1
    """
    tool = _table(f"{source}: tool", parse_toml(text, source).get("tool", {}))
    own = _table(f"{source}: tool.perfsuite", tool.get("perfsuite", {}))
    _refuse_unknown(f"{source}: [tool.perfsuite]", own, ["gate"])
    gate = _table(f"{source}: tool.perfsuite.gate", own.get("gate", {}))
    _refuse_unknown(f"{source}: [tool.perfsuite.gate]", gate, sorted(_SCHEMA))
    arguments: dict[str, Any] = {"quarantine": (), "tolerances": (), "renames": {}, "share": ()}
    for key, value in gate.items():
        arguments[key.replace("-", "_")] = _SCHEMA[key](f"{source}: [tool.perfsuite.gate] {key}", value)
    try:
        GateSettings(base="", **arguments)  # refuses values that contradict each other
    except UsageError as error:
        raise UsageError(f"{source}: [tool.perfsuite.gate] {error}") from error
    return arguments


def with_base_rules(
    project: Mapping[str, Any], base: Mapping[str, Any], today: date
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The head's settings with base's rules, and notes about the rules of head that do not hold.

    Head cannot loosen the rules that it is judged by. Its renames and shared files describe head and stay. An
    expired exemption of base is left out: refusing it would also refuse the change that renews it.
    """
    living = dict(base)
    for kind in ("quarantine", "tolerances"):
        living[kind] = tuple(entry for entry in base[kind] if entry.expires >= today)
    settings = {key: value for key, value in project.items() if key not in RULES}
    settings |= {key: value for key, value in living.items() if key in RULES}
    changed = [key.replace("_", "-") for key in RULES if project.get(key) != base.get(key)]
    notes = []
    if changed:
        notes.append(
            f"head changes these rules in {SETTINGS_FILE}: {', '.join(changed)}; base's rules were applied "
            "(--rules head applies head's)"
        )
    return settings, tuple(notes)


def _wrong(who: str, value: object, expected: str) -> UsageError:
    shown = repr(value)
    return UsageError(f"{who}: {shown[:_MAX_SHOWN]}{'...' * (len(shown) > _MAX_SHOWN)}, expected {expected}")


def _table(who: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(who, value, "a table")
    return value


def _refuse_unknown(who: str, table: Mapping[str, Any], known: list[str]) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise UsageError(f"{who} has {unknown[0][:_MAX_SHOWN]!r}, expected one of {known}")


def _number(key: str) -> Check:
    def check(who: str, value: object) -> object:
        RANGES[key].check(who, value)
        return value

    return check


def _text(who: str, value: object, expected: str) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise _wrong(who, value, expected)
    return value


def _shared_paths(who: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong(who, value, 'a list of paths, such as ["images"]')
    for path in value:
        if not stays_inside(_text(who, path, "a path inside the repository")):
            raise _wrong(who, path, "a path inside the repository")
    return tuple(value)


def _renames(who: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong(who, value, "a table of base's names and head's")
    for old, new in value.items():
        _text(f"{who}: {old}", old, "the name of a test")
        _text(f"{who}: {old}", new, "the name of a test")
    if len(set(value.values())) < len(value):
        raise _wrong(who, value, "each name once among head's; two tests cannot become one")
    return dict(value)


def _exemptions(kind: str) -> Check:
    keys = sorted([*_EXEMPTION_KEYS, *(["tolerance"] if kind == "tolerances" else [])])

    def check(who: str, value: object) -> tuple[Exemption, ...]:
        if not isinstance(value, list):
            raise _wrong(who, value, f"a list of tables, each [[tool.perfsuite.gate.{kind}]]")
        source = who.partition(": [")[0]
        return tuple(_exemption(f"{source}: {_who_exemption(kind)}", entry, keys) for entry in value)

    return check


def _exemption(who: str, entry: object, keys: list[str]) -> Exemption:
    table = _table(who, entry)
    if sorted(table) != keys:
        raise _wrong(who, table, f"exactly {keys}")
    test = _text(f"{who}: test", table["test"], "the name of a test, which may end in *")
    who = f"{who} {test[:_MAX_SHOWN]}"
    _text(f"{who}: reason", table["reason"], "a text; an exemption needs a reason")
    if not isinstance(table["expires"], date) or isinstance(table["expires"], datetime):
        raise _wrong(f"{who}: expires", table["expires"], "expires as a date (2030-01-31)")
    if "tolerance" in table:
        RANGES["tolerance"].check(f"{who}: tolerance", table["tolerance"])
    return Exemption(**table)


def _who_exemption(kind: str) -> str:
    return f"[[tool.perfsuite.gate.{kind}]]"


def _refuse_expired(who: str, entry: Exemption, today: date) -> None:
    if entry.expires < today:
        raise UsageError(
            f"{who}: expired on {entry.expires} ({entry.reason}), expected a date to come; "
            "fix the cause and remove the entry, or renew it deliberately"
        )


_SCHEMA: Mapping[str, Check] = {
    **{key: _number(key) for key in RANGES},
    "quarantine": _exemptions("quarantine"),
    "tolerances": _exemptions("tolerances"),
    "renames": _renames,
    "share": _shared_paths,
}
