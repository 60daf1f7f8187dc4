"""Advise loader settings: the races, the differential measurement, the diagnosis and the settings file."""
