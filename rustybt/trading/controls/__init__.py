"""What guards a strategy against itself."""
