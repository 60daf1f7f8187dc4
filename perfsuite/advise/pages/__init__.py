"""The page of each measuring command: its results as a document with tables and plots."""
