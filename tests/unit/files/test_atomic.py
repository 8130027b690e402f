"""Files appear whole, on disk, with the user's permissions, or not at all."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from caebench.files import atomic
from caebench.files.atomic import check_guard, guarded, replacing, write_json, write_text


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o640
    os.umask(before)


def save_tensors(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def save_pickle(path: Path) -> None:
    torch.save({"a": 1}, path)


def save_text(path: Path) -> None:
    path.write_text("x")


@pytest.mark.parametrize("write", [save_tensors, save_pickle, save_text])
def test_permissions_are_by_the_users_umask_whoever_writes(tmp_path, umask, write):
    path = tmp_path / "file"
    with replacing(path) as partial:
        write(partial)
    assert stat.S_IMODE(path.stat().st_mode) == umask


def test_so_are_those_of_a_folders_files(tmp_path, umask):
    with replacing(tmp_path / "model") as partial:
        (partial / "inner").mkdir(parents=True)
        save_tensors(partial / "inner" / "model.safetensors")
        save_text(partial / "run.sh")
        (partial / "run.sh").chmod(0o750)
    inner, script = tmp_path / "model" / "inner" / "model.safetensors", tmp_path / "model" / "run.sh"
    assert stat.S_IMODE(inner.stat().st_mode) == umask
    assert stat.S_IMODE(script.stat().st_mode) == 0o750, "it stays executable"


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_folder_appears_atomically_too(tmp_path):
    with replacing(tmp_path / "model") as partial:
        partial.mkdir()
        (partial / "config.json").write_text("{}")
        assert not (tmp_path / "model").exists()
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model" / "config.json").exists()


def test_content_is_on_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """What a power cut may not reverse: content, then name, then the folder's entry."""
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def seen(descriptor: int) -> None:
        steps.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        steps.append(("rename", Path(target).name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", seen)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(tmp_path / "result.json", "{}")
    partial = f".result.json.{socket.gethostname()}-{os.getpid()}{atomic.PARTIAL}"
    assert steps == [("fsync", partial), ("rename", "result.json"), ("fsync", tmp_path.name)]


def test_a_value_that_json_lacks_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1} and os.listdir(tmp_path) == ["a.json"]


def test_a_guard_is_asked_before_a_file_of_its_folder_gets_its_name(tmp_path):
    def refuse():
        raise PermissionError("not ours any more")

    (tmp_path / "ours" / "checkpoints").mkdir(parents=True)
    (tmp_path / "theirs").mkdir()
    with guarded({tmp_path / "ours": refuse}):
        with pytest.raises(PermissionError, match="not ours"):
            write_text(tmp_path / "ours" / "checkpoints" / "1.pt", "x")
        with pytest.raises(PermissionError, match="not ours"):
            check_guard(tmp_path / "ours" / "metrics.jsonl")
        write_text(tmp_path / "theirs" / "1.pt", "x")
    assert os.listdir(tmp_path / "ours" / "checkpoints") == []
    write_text(tmp_path / "ours" / "1.pt", "x")
