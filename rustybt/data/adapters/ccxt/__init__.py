"""Crypto exchanges, on ccxt."""
