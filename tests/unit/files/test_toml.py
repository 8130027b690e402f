"""Whatever a file holds, its mistake is one short line that names the file."""

import os

import pytest

from caebench.files.toml import read_toml

WRONG = {
    "a UTF-16 file": (
        'a = "b"'.encode("utf-16"),
        "not valid TOML: it is in UTF-16. Save it in UTF-8. Correct",
    ),
    "a latin-1 file": (
        'a = 1\nb = "früh"'.encode("latin1"),
        "not valid TOML: line 2 is not in UTF-8 (byte 0xfc). Save it in UTF-8. Correct the file.",
    ),
    "deep nesting": (b"a = " + b"[\n" * 100_000, "nested too deeply. Correct the file."),
    "deep nesting in one line": (
        b"a = " + b"{a=" * 100_000,
        "not valid TOML: line 1 has 300004 characters: at most 4000. Correct the file.",
    ),
    "a deep name": (b"\n" + b"a." * 1_500 + b"a = 1", "nested too deeply. Correct the file."),
    "400 digits": (
        b"[a]\nb = [1, " + b"9" * 400 + b"]",
        "field 'a.b.1' is beyond 64 bits, which TOML's whole numbers have. Correct the file.",
    ),
    "a long text": (b'a = "' + b"x" * 5_000_000 + b'"', "not valid TOML: line 1 has 5000006 characters: at most"),
    "a long text in lines": (b'a = """' + b"x\n" * 2_000 + b'"""', "field 'a' has 4000 characters: at most 2000."),
    "a long name twice": (b"[" + b"x" * 3_000 + b"]\n[" + b"x" * 3_000 + b"]", "not valid TOML: Cannot declare"),
    "a date": (b"[a]\nb = 2024-01-01", "field 'a.b' is a date or a time: no field takes one. Correct the file."),
    "a time": (b"a = 10:00:00", "field 'a' is a date or a time: no field takes one. Correct the file."),
    "a name twice": (
        b"a = 1\na = 2\n",
        "not valid TOML: Cannot overwrite a value (at line 2, column 6). Correct",
    ),
    "a dotted name against a table": (b"a = 1\na.b = 2\n", "not valid TOML: Cannot overwrite a value (at line 2"),
    "a NUL byte": (b'a = "b\0c"', "not valid TOML: Illegal character '\\x00' (at line 1, column 7). Correct the file."),
    "an escaped NUL": (b'a = "b\\u0000c"', "field 'a' has a NUL character. Correct the file."),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_one_short_line(tmp_path, what):
    content, said = WRONG[what]
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.toml: ") as caught:
        read_toml(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {said}")
    assert "\n" not in message and len(message) < len(str(path)) + 200


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is compared below
        read_toml(tmp_path)
    assert str(caught.value) == f"{tmp_path}: not a file. Give the path of a TOML file."


def test_a_fifo_is_not_waited_for(tmp_path):
    path = tmp_path / "mine.toml"
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"mine\.toml: not a file\. Give the path of a TOML file\."):
        read_toml(path)


def test_an_empty_file_has_nothing(tmp_path):
    path = tmp_path / "mine.toml"
    path.touch()
    assert read_toml(path) == {}


def test_a_byte_order_mark_is_accepted(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_toml(path) == {"a": 1}


def test_numbers_that_are_not_finite_are_left_to_the_fields(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"a = 1e400\nb = -9223372036854775808")
    assert read_toml(path) == {"a": float("inf"), "b": -(2**63)}
