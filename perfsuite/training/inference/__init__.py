"""Prediction with trained models, and their export to other runtimes."""
