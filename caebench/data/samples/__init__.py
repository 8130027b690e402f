"""What makes a sample of an image, its label and its key (epoch, index): a file per kind (ADR 10)."""
