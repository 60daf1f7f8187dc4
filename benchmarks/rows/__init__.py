"""Run every required capability by the command that a user types, and write a page of what came back."""
