"""Documents with tables and plots, as self-contained HTML, Markdown and PNG."""
