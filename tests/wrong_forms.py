"""Ways in which a JSON file can be none of ours, each a function that makes a path so."""

import os

import pytest

from caebench.files.atomic import remove

DEEP = '{"a": ' * 900 + "1" + "}" * 900


def replaced(path, make):
    remove(path)
    make(path)


WHOLE = {  # by a name for people
    "empty": lambda path: path.write_bytes(b""),
    "null": lambda path: path.write_text("null"),
    "number": lambda path: path.write_text("5"),
    "list": lambda path: path.write_text("[1]"),
    "no object in it": lambda path: path.write_text("{}"),
    "deep": lambda path: path.write_text(DEEP),
    "not UTF-8": lambda path: path.write_bytes(b'{"\xff": 1}'),
    "large number": lambda path: path.write_text('{"a": ' + "9" * 5000 + "}"),
    "folder": lambda path: replaced(path, lambda path: path.mkdir()),
    "fifo": lambda path: replaced(path, os.mkfifo),
    "device": lambda path: replaced(path, lambda path: path.symlink_to("/dev/zero")),
    "itself": lambda path: replaced(path, lambda path: path.symlink_to(path.name)),
    "link to nothing": lambda path: replaced(path, lambda path: path.symlink_to("/nowhere")),
}
QUICK = ("null", "deep", "folder", "fifo")
SOME = [pytest.param(way, marks=() if way in QUICK else pytest.mark.slow) for way in WHOLE]  # the others take minutes
