"""Sphinx builds the pages of this folder; `make docs` treats warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from perfsuite import __version__

project = "perfsuite"
author = "the authors of perfsuite"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "reference_pages"]
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]

# The Markdown must read on GitHub too: ordinary links, and anchors as GitHub makes them.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Docstrings write code between single backquotes.
default_role = "code"
autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
autodoc_mock_imports = ["mlflow", "pynvml"]

html_theme = "furo"
html_title = "perfsuite"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/perfsuite/perfsuite",
    "source_branch": "main",
    "source_directory": "docs/",
}
