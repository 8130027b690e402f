"""caebench: benchmarks for self-supervised vision, built around the CAE paper (arXiv 2202.03026v3)."""

__version__ = "0.1.0"
