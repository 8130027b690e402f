"""Networks: encoder, regressor, decoder, tokenizers and heads."""
