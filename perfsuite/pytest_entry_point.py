"""The pytest entry point: it names the plugin, which pytest registers once even with `-p` beside it."""

pytest_plugins = ("perfsuite.pytest_plugin",)
