"""Benchmarks: each figure is a ratio beside its peer, measured in one run on one machine; `make bench` prints them."""
