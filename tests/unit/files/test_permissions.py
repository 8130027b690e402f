"""Permission denied names the path, the user, the owner and the command to ask for; it is never taken for damage."""

import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from caebench.checkpoints.dalle import load_dalle
from caebench.checkpoints.encoder_file import read_encoder
from caebench.checkpoints.reading import read
from caebench.cli import main
from caebench.data.loading import open_image
from caebench.datasets.errors import DataError
from caebench.execution.recording import in_words
from caebench.files.atomic import listed, read_json, write_json
from caebench.files.layout import CHECKPOINTS, DVAE, ENCODER, HEARTBEAT, LEASE, RESULT, TOKENIZER
from caebench.files.permissions import denied, denied_at
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.inputs.tokenizer import dvae
from caebench.specs.job import make_job
from caebench.store.heartbeat import BEATS, beating
from caebench.store.holders import holder
from caebench.store.lease import LeaseTaken, acquire
from caebench.store.store import Store
from caebench.store.usage import size_of_folder
from caebench.tasks.dvae import load_dvae
from caebench.training import checkpoint
from caebench.training.distributed import Group
from tests.helpers import AS_ROOT, OTHER, as_other_user, open_folder

pytestmark = AS_ROOT
ROOTS = "permission denied for 54321: {place}belongs to root, group root, with mode {mode}"
ASK = "Ask root for: chmod g+{needed} {path} and for membership in group root. In a shared store everyone sets"


@pytest.fixture
def shared():
    with open_folder() as folder:
        yield folder


@pytest.fixture
def store(shared):
    """A store with one job, whose files others may read."""
    before = os.umask(0o022)
    found = Store(shared / "store")
    folder = found.prepare(make_job(random_encoder("vit_b")))
    write_json(folder / RESULT, {"metrics": {"x": 1.0}, "finished": "monday"})
    yield found
    os.umask(before)


def closed(path: Path, mode: int) -> Path:
    path.chmod(mode)
    return path


def test_a_file_that_may_not_be_read(shared):
    path = shared / "file"
    path.touch()
    closed(path, 0o600)
    error = as_other_user(lambda: read_json(path))
    assert isinstance(error, PermissionError) and error.filename == str(path)
    words = as_other_user(lambda: denied(error))
    what = ROOTS.format(place="", mode="-rw-------")
    assert words.startswith(f"{path}: {what}. {ASK.format(needed='rw', path=path)}")
    assert as_other_user(lambda: in_words(error)) == f"PermissionError: {words}"


def test_a_folder_on_the_way_that_may_not_be_entered(shared):
    folder = shared / "folder"
    (folder / "inner").mkdir(parents=True)
    closed(folder, 0o700)
    what, do = as_other_user(lambda: denied_at(folder / "inner" / "file"))
    assert what == ROOTS.format(place=f"{folder} ", mode="drwx------")
    assert do.startswith(ASK.format(needed="rwx", path=folder))


def test_a_folder_that_may_not_be_written_to(shared):
    (shared / "folder").mkdir()
    closed(shared / "folder", 0o755)
    error = as_other_user(lambda: write_json(shared / "folder" / "a.json", {}))
    assert isinstance(error, PermissionError)
    words = as_other_user(lambda: denied(error))
    assert f"{shared / 'folder'} belongs to root" in words and f"chmod g+rwx {shared / 'folder'}" in words


# ---- an unreadable store is an error, not an empty table ------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["store", "kind", "job"])
def test_what_may_not_be_looked_into_is_an_error(store, depth):
    (folder,) = store.folders()
    path = (folder.parent.parent, folder.parent, folder)[depth]
    assert as_other_user(lambda: [len(list(Store(store.root).folders())), size_of_folder(path) > 0]) == [1, True]
    closed(path, 0o700)
    for look in (lambda: list(Store(store.root).folders()), lambda: size_of_folder(path)):
        error = as_other_user(look)
        assert isinstance(error, PermissionError) and Path(error.filename).is_relative_to(path), error
    assert isinstance(as_other_user(lambda: Store(store.root).find("")), PermissionError)


@pytest.mark.parametrize("verb", [["status"], ["status", "--json"], ["store"], ["why"]], ids=" ".join)
def test_verbs_say_whose_store_it_is(store, monkeypatch, capfd, verb):
    (folder,) = store.folders()
    more = [folder.name[-10:]] if verb == ["why"] else []
    monkeypatch.setenv("HOME", str(store.root.parent))
    monkeypatch.setattr(sys, "argv", ["caebench", *verb, *more, "--store", str(store.root)])
    with pytest.raises(SystemExit) as end:
        main()  # as root: imports what it needs
    assert not end.value.code and capfd.readouterr().err == ""
    closed(store.root, 0o700)
    end = as_other_user(main)
    out, err = capfd.readouterr()
    assert isinstance(end, SystemExit) and end.code == 2 and out == ""
    assert err.startswith("error: ") and ROOTS.format(place="", mode="drwx------") in err
    assert f"chmod g+rwx {store.root}" in err and "elete" not in err


# ---- files that are closed are not damaged --------------------------------------------------------------------------


def test_a_closed_checkpoint_is_no_damaged_one(shared):
    checkpoint.write(shared, 7, {"step": 7})
    path = shared / CHECKPOINTS / "000000007.pt"
    alone = Group(0, 1, torch.device("cpu"))
    assert as_other_user(lambda: checkpoint.read_newest(shared, alone)) == {"step": 7}
    for one in (path, path.parent):
        closed(one, 0o700 if one.is_dir() else 0o600)
        error = as_other_user(lambda: checkpoint.read_newest(shared, alone))
        assert isinstance(error, PermissionError) and error.filename == str(one)
        one.chmod(0o755)
    error = as_other_user(lambda: checkpoint.write(shared, 8, {"step": 8}))
    assert isinstance(error, PermissionError) and "disk full" not in str(error)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        (ENCODER, read_encoder),
        (TOKENIZER, load_dalle),
        ("weights.pth", read),
        ("weights.safetensors", read),
        (DVAE, lambda path: load_dvae(dvae(), path.parent)),
    ],
)
def test_a_closed_file_of_weights_is_no_damaged_one(shared, tiny, name, use):
    path = shared / name
    if name.endswith("safetensors"):
        save_file({"a": torch.zeros(2)}, path)
    else:
        torch.save({"a": torch.zeros(2)}, path)
    closed(path, 0o600)
    error = as_other_user(lambda: use(path))
    assert isinstance(error, PermissionError) and error.filename == str(path), error


def test_a_closed_image_is_no_damaged_one(shared):
    path = shared / "1.JPEG"
    path.touch()
    closed(path, 0o600)
    error = as_other_user(lambda: open_image(path))
    assert isinstance(error, DataError) and str(error).startswith(f"{path}: permission denied for 54321")
    assert "archive" not in str(error)


# ---- two users of one store -----------------------------------------------------------------------------------------


def test_another_users_lease_is_seen_and_a_closed_folder_is_an_error(shared):
    folder = shared / "job"
    folder.mkdir()
    acquire(folder)
    closed(folder, 0o755)
    error = as_other_user(lambda: acquire(folder))
    assert isinstance(error, PermissionError)
    folder.chmod(0o777)

    def refused():
        try:
            acquire(folder)
        except LeaseTaken as taken:
            return str(taken)

    assert "already running: root since" in as_other_user(refused)
    (folder / LEASE).unlink()
    as_other_user(lambda: acquire(folder))
    assert holder(folder)["user"] == str(OTHER)


def test_the_heartbeat_file_of_an_earlier_user_is_replaced(shared):
    shared.chmod(0o777)
    path = shared / HEARTBEAT
    path.touch(mode=0o644)

    def beat():
        with beating([shared], lambda _: True, 1e3 * BEATS):
            pass

    assert as_other_user(beat) is None
    assert path.stat().st_uid == OTHER


def test_listing_nothing_and_something(tmp_path):
    (tmp_path / "b").touch()
    (tmp_path / "a").mkdir()
    assert listed(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert listed(tmp_path / "none") == listed(tmp_path / "b") == []
