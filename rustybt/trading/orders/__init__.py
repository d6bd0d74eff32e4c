"""Orders: sized, placed, kept until they fill or end."""
