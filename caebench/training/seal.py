"""A checksum in a file that torch has saved, as the comment of its zip archive: every zip reader still reads it.

torch writes a CRC for each tensor but does not check it, so a flipped bit would be trained on.
"""

import hashlib
from pathlib import Path

KIND = b"sha256:"
END = b"PK\x05\x06"  # a zip file ends with these, 16 bytes, the length of its comment, and the comment
LENGTH_SIZE = 2  # bytes
END_SIZE = len(END) + 16 + LENGTH_SIZE
TAIL = LENGTH_SIZE + len(KIND) + 2 * hashlib.sha256().digest_size
CHUNK = 2**22  # bytes


def seal(path: Path) -> None:
    """Add the checksum of all that stands before it.

    Raises:
        ValueError: the file is no zip archive, or has a comment.
    """
    if not _ends_as_archive(path):
        raise ValueError(f"{path}: no zip archive without a comment")
    end = path.stat().st_size - LENGTH_SIZE
    comment = KIND + _digest(path, end)
    with path.open("r+b") as file:
        file.seek(end)
        file.write(len(comment).to_bytes(LENGTH_SIZE, "little") + comment)


def require_intact(path: Path) -> None:
    """Check a file against its checksum; one without, of an earlier version of caebench, must end as it did then.

    Raises:
        ValueError: its content is not what was written.
    """
    tail = _last_bytes(path, TAIL)[LENGTH_SIZE:]
    if not tail.startswith(KIND):
        if not _ends_as_archive(path):
            raise ValueError("its end is missing")
    elif tail.removeprefix(KIND) != _digest(path, path.stat().st_size - TAIL):
        raise ValueError("its checksum does not fit: the file has changed since it was written")


def _ends_as_archive(path: Path) -> bool:
    end = _last_bytes(path, END_SIZE)
    return end.startswith(END) and end.endswith(bytes(LENGTH_SIZE))


def _last_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - count))
        return file.read()


def _digest(path: Path, end: int) -> bytes:
    """The SHA-256 of a file's first bytes, in hexadecimal digits."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while end > 0 and (chunk := file.read(min(CHUNK, end))):
            found.update(chunk)
            end -= len(chunk)
    return found.hexdigest().encode()
