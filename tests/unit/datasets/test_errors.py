"""Lists and annotations that are no text, no JSON, or no files: an error that names them, at once."""

import os

import pytest

from caebench.datasets.errors import DataError, read_json, read_text


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000])
def test_json_without_end_is_an_error(tmp_path, text):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_json(path, "Get it again")
    assert str(error.value) == f"{path}: not readable as JSON (nested too deeply). Get it again"


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_pipe_or_a_device_is_no_list(tmp_path, kind):
    path = tmp_path / "train.txt"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(kind)
    with pytest.raises(DataError) as error:
        read_text(path, "Get it again")
    assert str(error.value) == f"{path}: neither a file nor a folder. Get it again"


def test_an_error_is_one_line_of_some_length_whatever_a_file_says():
    said = str(DataError("a.json", "bbox 'x\\n\nerror: y\x1b[31m" + "z" * 10**6, "Do this."))
    assert "\n" not in said and "\x1b" not in said and len(said) < 1_100
    assert said.endswith(". Do this.")
