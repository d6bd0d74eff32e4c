"""Alpaca, on alpaca-py."""
