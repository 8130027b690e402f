"""Encoder, regressor, tokenizers, heads, and the files that hold them."""
