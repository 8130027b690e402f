"""What libraries log reaches the terminal, and the files of a scheduler, as text."""

import logging
import subprocess
import sys

import pytest

from caebench.execution.logs import PlainFormatter


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("plain größe", "WARNING plain größe"),
        ("\x1b[2J\x1b]0;title\a\rgone", r"WARNING \x1b[2J\x1b]0;title\x07\rgone"),
        ("two\nlines", "WARNING two\nlines"),
    ],
)
def test_control_characters_are_escapes(message, shown):
    assert PlainFormatter().format(logging.LogRecord("a", logging.WARNING, "", 0, message, None, None)) == shown


def test_what_any_library_logs_in_a_worker_goes_through_it():
    code = "import logging; from caebench.execution.logs import write_plain_logs; write_plain_logs(); "
    code += "logging.getLogger('theirs').warning('a%sb', chr(27))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"WARNING a\\x1bb\n"
