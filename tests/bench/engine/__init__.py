"""The engine's benchmarks: backtests on daily bars beside zipline-reloaded, single reads, minutes at scale, and scaling."""
