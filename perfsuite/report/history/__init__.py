"""The history of stored runs as text, page and site."""
