"""The data sets, a file each: layout, counts, reader, checker, and how it is rendered. No torch."""
