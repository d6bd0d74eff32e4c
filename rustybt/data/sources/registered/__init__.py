"""Bundles that a function writes: Zipline's `register` and ``extension.py``, through the one path into our store."""
