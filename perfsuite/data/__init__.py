"""What is loaded."""
