"""Search for the best loader settings, in races of settings that take turns."""
