"""File digests, which identify imported files and fetched assets. No torch."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """A file's SHA-256, in hexadecimal digits.

    Raises:
        ValueError: there is no such file.
    """
    return digest_of(path, "sha256")


def digest_of(path: Path, kind: str) -> str:
    """SHA-256, or MD5, since some projects publish only that.

    Raises:
        ValueError: there is no such file.
    """
    with require_file(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def require_file(path: Path) -> Path:
    """The path, if it is a file.

    Raises:
        ValueError: it is a folder, or does not exist.
    """
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path}: a link to {path.readlink()}, which does not exist. Fetch that file first.")
    if not path.is_file():
        raise ValueError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}. Give the path of a checkpoint.")
    return path
