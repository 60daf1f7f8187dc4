"""Formats in which other tools read stored runs, one file each: a new file that defines `EXPORT` is a new one."""
