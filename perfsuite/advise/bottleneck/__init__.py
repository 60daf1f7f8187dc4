"""Name the narrow place of loading and training, from rates measured in turns."""
