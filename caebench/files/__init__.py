"""Files of the store: their names, and the one writer; and text as it can be shown."""
