"""Faithful local stand-ins for the vendors' servers: ``python -m tests.fakes yahoo`` starts one by hand."""
