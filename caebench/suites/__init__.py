"""Suite files, and the published numbers that their rows mirror."""
