"""Packages and files for a start of one's own: `caebench new` fills them in. They are texts, never imported."""
