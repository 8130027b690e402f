"""What other jobs depend on: data sets, tokenizers, code caches, encoders that nobody trains here."""
