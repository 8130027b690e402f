"""Checkpoints: the last two, whole or passed over."""

import logging
import zipfile

import pytest
import torch

from caebench.training import checkpoint
from caebench.training.distributed import Group
from caebench.training.seal import TAIL

ALONE = Group(0, 1, torch.device("cpu"))


@pytest.fixture
def folder(tmp_path):
    for step in (10, 20, 30):
        checkpoint.write(tmp_path, step, {"step": step, "weights": torch.full((100,), float(step))})
    return tmp_path


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_last_two_are_kept(folder):
    assert names(folder) == ["000000020.pt", "000000030.pt"]
    assert checkpoint.read_newest(folder, ALONE)["step"] == 30


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert checkpoint.read_newest(tmp_path, ALONE) is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_newest_falls_back_with_a_warning(folder, share, caplog):
    path = folder / "checkpoints" / "000000030.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with caplog.at_level(logging.WARNING):
        assert checkpoint.read_newest(folder, ALONE)["step"] == 20
    assert str(path) in caplog.text and "trying the one before" in caplog.text


def test_a_flipped_bit_anywhere_falls_back(folder, caplog):
    """torch reads most flipped bits without a word."""
    path = folder / "checkpoints" / "000000030.pt"
    content, undetected = path.read_bytes(), []
    for position in range(0, len(content), 41):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        if checkpoint.read_newest(folder, ALONE)["step"] != 20:
            undetected.append(position)
        path.with_name("000000030.pt.damaged").unlink(missing_ok=True)
    assert all(position > len(content) - TAIL for position in undetected), "none in what is trained on"
    assert "its checksum does not fit" in caplog.text


def test_a_damaged_one_is_not_tried_again_when_later_ones_are_written(folder):
    (folder / "checkpoints" / "000000030.pt").write_bytes(b"damaged")
    assert checkpoint.read_newest(folder, ALONE)["step"] == 20
    checkpoint.write(folder, 25, {"step": 25})
    assert names(folder) == ["000000020.pt", "000000025.pt", "000000030.pt.damaged"]
    assert checkpoint.read_newest(folder, ALONE)["step"] == 25


def test_a_checkpoint_is_a_zip_file_with_its_checksum_as_the_comment(folder):
    path = folder / "checkpoints" / "000000030.pt"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and archive.comment.startswith(b"sha256:")
    assert torch.load(path, weights_only=True)["step"] == 30


def test_one_without_a_checksum_is_of_an_earlier_version(folder):
    torch.save({"step": 40}, folder / "checkpoints" / "000000040.pt")
    assert checkpoint.read_newest(folder, ALONE)["step"] == 40


class Second(Group):
    """The second of two processes, whose first has other files before it."""

    steps = (2, 30, 20)  # the first process's: how many checkpoints it sees, and of which steps
    fails = (False, False)  # whether the first cannot read each

    def of_first(self, number):
        self.__dict__.setdefault("asked", []).append(number)
        return self.steps[len(self.asked) - 1]

    def any(self, flags):
        self.__dict__.setdefault("tried", []).append(flags[0])
        return [flags[0] or self.fails[len(self.tried) - 1], flags[1]]


def second(**facts):
    return type("Second", (Second,), facts)(1, 2, ALONE.device)


def test_processes_read_the_one_that_all_can_read(folder):
    assert checkpoint.read_newest(folder, second())["step"] == 30
    assert checkpoint.read_newest(folder, second(fails=(True, False)))["step"] == 20


def test_a_process_takes_the_first_ones_list(folder):
    """Its node may not see yet what the first process's node has written, or see what is deleted."""
    checkpoint.write(folder, 40, {"step": 40})
    assert checkpoint.read_newest(folder, second(steps=(1, 30)))["step"] == 30
    (folder / "checkpoints" / "000000040.pt").unlink()
    assert checkpoint.read_newest(folder, second(steps=(2, 40, 30)))["step"] == 30
    assert "000000030.pt" in names(folder)


def test_when_all_are_damaged_nothing_is_trained_over_silently(folder):
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"no checkpoint can be read\. Delete the job's folder"):
        checkpoint.read_newest(folder, ALONE)


def test_an_interrupted_write_leaves_the_old_ones(folder, monkeypatch):
    def half(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match=r"000000040.pt: cannot be written .*No space left on device"):
        checkpoint.write(folder, 40, {})
    assert names(folder) == ["000000020.pt", "000000030.pt"]
    assert checkpoint.read_newest(folder, ALONE)["step"] == 30


def test_a_checkpoint_runs_no_code(folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (tmp_path / "trace").touch, ()

    for path in (folder / "checkpoints").iterdir():
        torch.save({"step": Hostile()}, path)
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        checkpoint.read_newest(folder, ALONE)
    assert not (tmp_path / "trace").exists()
