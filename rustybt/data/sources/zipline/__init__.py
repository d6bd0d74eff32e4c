"""Zipline's own bundles, read in place."""
