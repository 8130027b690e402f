"""Files of the store: their names, and the one writer."""
