"""Formats in which other tools read stored runs, one file each that defines `EXPORT`."""
