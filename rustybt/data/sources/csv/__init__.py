"""CSV files: found, opened, understood, read."""
