"""Checkpoints: the last two, whole or passed over."""

import logging

import pytest
import torch

from caebench.training import checkpoint

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    for step in (10, 20, 30):
        checkpoint.write(tmp_path, step, {"step": step, "weights": torch.full((100,), float(step))})
    return tmp_path


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_last_two_are_kept(folder):
    assert names(folder) == ["000000020.pt", "000000030.pt"]
    assert checkpoint.read_newest(folder, CPU)["step"] == 30


def test_no_checkpoint_is_a_fresh_start(tmp_path):
    assert checkpoint.read_newest(tmp_path, CPU) is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_newest_falls_back_with_a_warning(folder, share, caplog):
    path = folder / "checkpoints" / "000000030.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with caplog.at_level(logging.WARNING):
        assert checkpoint.read_newest(folder, CPU)["step"] == 20
    assert str(path) in caplog.text and "trying the one before" in caplog.text


def test_when_all_are_damaged_nothing_is_trained_over_silently(folder):
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"no checkpoint can be read\. Delete the job's folder"):
        checkpoint.read_newest(folder, CPU)


def test_an_interrupted_write_leaves_the_old_ones(folder, monkeypatch):
    def half(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match=r"000000040.pt: cannot be written .*No space left on device"):
        checkpoint.write(folder, 40, {})
    assert names(folder) == ["000000020.pt", "000000030.pt"]
    assert checkpoint.read_newest(folder, CPU)["step"] == 30


def test_a_checkpoint_runs_no_code(folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (tmp_path / "trace").touch, ()

    for path in (folder / "checkpoints").iterdir():
        torch.save({"step": Hostile()}, path)
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        checkpoint.read_newest(folder, CPU)
    assert not (tmp_path / "trace").exists()
