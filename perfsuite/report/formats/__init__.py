"""Report formats, one file each: a new file that defines `FORMAT` is a new format."""
