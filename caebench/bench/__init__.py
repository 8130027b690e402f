"""Benchmarks of speed, each compared with a plain implementation in the same process; see `caebench bench`."""
