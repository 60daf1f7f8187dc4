"""Name the bottleneck of loading and training, from rates measured in turns."""
