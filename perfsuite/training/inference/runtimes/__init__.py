"""Runtimes for trained models: one file per runtime, collected by the registry."""
