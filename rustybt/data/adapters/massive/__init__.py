"""Massive (formerly Polygon.io), on its own client."""
