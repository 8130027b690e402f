"""Damage to bytes: bits that flip, ends that are missing, parts of other files, and things that are no files."""

from collections.abc import Sequence
from random import Random

from tests.fuzz.case import Content, Special

INTERESTING = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\x1b[2J", b"\r", b"\n", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"),
    *(b"\xff" * 8, b"\xed\xa0\x80", b"\xe2\x80\xae", b"..", b"/", b"%n", b"9" * 30, b"{", b"[", b'"', b"PK\x03\x04"),
)


def damaged(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The bytes with one to four changes."""
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        content = _once(rng, content, others)
    return content


def _once(rng: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(content))
    stop = min(len(content), start + rng.choice([1, 1, 2, 4, 8, 64, 1000]))
    action = rng.randrange(8)
    if action in (0, 1) and content:
        flipped = bytearray(content)
        for _ in range(rng.choice([1, 1, 3, 20])):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if action == 2:
        return content[:start]
    if action == 3:
        return content[:start] + content[stop:]
    if action == 4:
        return content[:start] + content[start:stop] * rng.choice([2, 3, 50]) + content[stop:]
    if action == 5:
        word = rng.choice(INTERESTING)
        return content[:start] + word + content[start + len(word) :]
    if action == 6:
        return content[:start] + rng.choice(INTERESTING) + content[start:]
    other = rng.choice(others)
    return content[:start] + other[rng.randint(0, len(other)) :]


def no_file(rng: Random) -> Content:
    """What is no file, or an odd one."""
    links = ("/dev/zero", "/nonexistent", "/etc/passwd", "..", "/dev/null", "itself")
    return rng.choice(
        [
            *(Special("link", target) for target in links),
            *(Special("pipe"), Special("folder"), Special("gone")),
            *(b"", b"\x00" * 1000, b"\xff\xfe", b"null", b"[]", b"{}", b"1", b'"x"', b"[" * 100_000),
        ]
    )
