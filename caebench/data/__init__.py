"""Data as training reads it: samples, batches, transforms, masks, randomness."""
