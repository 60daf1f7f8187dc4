"""The pytest plugin: the `perf` fixture, the markers `floor` and `ceiling`, the `--perf-...` options.

pytest reads the hooks from this package, as an entry point or by `-p perfsuite.pytest_plugin`.
"""

from perfsuite.pytest_plugin.plugin import (
    image_dir,
    perf,
    pytest_addoption,
    pytest_cmdline_main,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_deselected,
    pytest_make_collect_report,
    pytest_pyfunc_call,
    pytest_report_header,
    pytest_runtest_protocol,
    pytest_runtestloop,
    pytest_sessionfinish,
    pytest_terminal_summary,
)

__all__ = [
    "image_dir",
    "perf",
    "pytest_addoption",
    "pytest_cmdline_main",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_deselected",
    "pytest_make_collect_report",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_protocol",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
