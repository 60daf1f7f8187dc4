"""Plots as SVG elements that take their colors from the page's stylesheet."""
