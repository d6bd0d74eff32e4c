"""Bundles: exact, versioned, verified bars on disk under one metadata database."""
