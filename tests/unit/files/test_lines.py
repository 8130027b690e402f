"""JSON lines: whole ones, whatever was cut before them."""

import pytest

from caebench.files.lines import append_line, read_lines


def test_lines_are_read_as_they_were_added(tmp_path):
    path = tmp_path / "lines.jsonl"
    assert read_lines(path) == []
    for step in range(3):
        append_line(path, {"step": step})
    assert read_lines(path) == [{"step": 0}, {"step": 1}, {"step": 2}]
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_cut_line_harms_no_other(tmp_path, cut):
    path = tmp_path / "lines.jsonl"
    for step in range(2):
        append_line(path, {"step": step})
    path.write_bytes(path.read_bytes()[:-cut])
    append_line(path, {"step": 2})
    found = [line["step"] for line in read_lines(path)]
    assert found == ([0, 1, 2] if cut == 1 else [0, 2])


def test_a_tail_leaves_out_the_line_that_it_cuts(tmp_path):
    path = tmp_path / "lines.jsonl"
    for step in range(100):
        append_line(path, {"step": step})
    assert read_lines(path, tail=30) == [{"step": 98}, {"step": 99}]


def test_what_is_no_line_is_passed_over(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'\x00\x00\x00\n7\n"step"\n{"step": 1}\n\xff{}\n')
    assert read_lines(path) == [{"step": 1}]
