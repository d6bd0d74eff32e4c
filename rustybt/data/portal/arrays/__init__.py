"""Bars laid out by row and asset, and what corporate actions do to them."""
