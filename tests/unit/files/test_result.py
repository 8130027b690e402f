"""Results: a checksum tells what the disk has changed."""

import json
import os
from pathlib import Path

import pytest

from caebench.files.atomic import write_json
from caebench.files.layout import ENCODER, JOB, PROVENANCE, RESULT
from caebench.files.result import Damaged, damage, intact, read_result, require_outputs, write_result

NUMBERS = {"id": "0" * 10, "metrics": {"top1": 83.61, "loss": 0.1 + 0.2}, "finished": "2026-01-01T00:00:00+00:00"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ENCODER).write_bytes(b"weights")
    write_json(tmp_path / JOB, {"id": "0" * 10, "kind": "knn", "config": {}, "inputs": {}})
    write_result(tmp_path, NUMBERS)
    return tmp_path


def test_what_is_written_is_read(folder):
    found = read_result(folder)
    assert {name: found[name] for name in NUMBERS} == NUMBERS and found.keys() == {*NUMBERS, "files"}
    assert damage(folder) is None and intact(folder, RESULT) == found


def test_no_flipped_bit_changes_a_number(folder):
    """Of every fifth bit, which takes its turn in each byte: the file is damaged, or says what was written."""
    path, written = folder / RESULT, read_result(folder)
    content, detected = path.read_bytes(), 0
    bits = range(0, 8 * len(content), 5)
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        if damage(folder):
            detected += 1
        else:
            found = read_result(folder)
            assert all(found[name] == value for name, value in written.items()), bytes(flipped)
    assert detected > 0.9 * len(bits)


@pytest.mark.parametrize("end", [0, 1, 40, -2])
def test_a_result_that_is_cut_is_damaged(folder, end):
    path = folder / RESULT
    path.write_bytes(path.read_bytes()[:end])
    said = damage(folder)
    assert said is not None and str(path) in said and intact(folder, RESULT) == {}
    with pytest.raises(Damaged, match="damaged"):
        read_result(folder)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", [RESULT, JOB])
def test_what_is_no_file_is_damage(folder, name, make):
    (folder / name).unlink()
    make(folder / name)
    assert f"{folder / name}: damaged (no regular file)" in (damage(folder) or "")


@pytest.mark.parametrize("content", [b"[]", b"\xff\xfe", b'"text"', b"{"])
@pytest.mark.parametrize("name", [JOB, PROVENANCE])
def test_damage_of_what_says_how_a_number_was_made(folder, name, content):
    (folder / name).write_bytes(content)
    assert str(folder / name) in (damage(folder) or "")


def test_a_result_without_a_checksum_is_of_an_earlier_version(folder):
    (folder / RESULT).write_text(json.dumps(NUMBERS))
    assert read_result(folder) == NUMBERS and damage(folder) is None
    require_outputs(folder)


def test_an_output_that_has_changed_is_refused(folder):
    require_outputs(folder)
    for change in ((folder / ENCODER).write_bytes, lambda _: (folder / ENCODER).unlink()):
        change(b"weighty")
        with pytest.raises(Damaged, match=f"{folder / ENCODER}: gone, or changed since written"):
            require_outputs(folder)
