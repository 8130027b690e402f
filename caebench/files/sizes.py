"""Sizes of files, for people."""


def size(num_bytes: float) -> str:
    """A number of bytes in GB, or in MB if there are few."""
    if 0 < num_bytes < 1e6:
        return "less than 1 MB"
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.0f} MB"
