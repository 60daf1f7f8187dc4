"""Judging: from measurements to verdicts. Opens no file and reads no clock."""
