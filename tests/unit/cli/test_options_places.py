"""Where a command finds its home, its store and itself: a wrong place is one line, and nothing is written."""

import json
import os

import pytest

VERBS = (("status",), ("plan", "quickstart", "--scale", "nano"), ("report", "--suite", "quickstart", "--scale", "nano"))
HINT = "Name another with --store, CAEBENCH_STORE or `store` in the site file."


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, without a site file of the user."""
    path = tmp_path / "work"
    path.mkdir()
    monkeypatch.chdir(path)
    (tmp_path / ".config" / "caebench" / "sites" / "local.toml").unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_store_that_is_a_file_is_named(desk, folder, monkeypatch, verb):
    path = folder / "file"
    path.write_text("mine")
    monkeypatch.setenv("CAEBENCH_STORE", str(path))
    assert desk(*verb) == (2, "", f"error: store {path}: is no folder. {HINT}\n")
    monkeypatch.setenv("CAEBENCH_STORE", str(path / "in" / "it"))
    assert desk(*verb) == (2, "", f"error: store {path / 'in' / 'it'}: cannot be made: {path} is no folder. {HINT}\n")
    assert path.read_text() == "mine" and os.listdir(folder) == ["file"]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_an_empty_store_of_a_site_file_is_refused_and_an_empty_variable_is_as_unset(desk, folder, monkeypatch, verb):
    monkeypatch.setenv("CAEBENCH_STORE", "")
    assert desk(*verb).status == 0
    desk.write_site("local", 'store = ""')
    status, out, error = desk(*verb)
    assert (status, out) == (2, "")
    assert error.endswith("local.toml: store is empty. Name a folder, or leave the field out. Correct the file.\n")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_home_that_is_not_there_or_a_file_is_none_that_is_needed(desk, folder, monkeypatch, verb):
    for home in ("/nowhere/at/all", "/etc/passwd"):
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/passwd")  # sites are in ~/.config alone
        assert (desk(*verb).status, os.listdir(folder)) == (0, [])
    status, out, error = desk("status", "--site", "cluster")
    assert (status, out) == (2, "") and error.count("\n") == 1 and "no such site" in error


def test_doctor_says_that_a_store_is_a_file(desk, folder, monkeypatch):
    (folder / "file").write_text("mine")
    monkeypatch.setenv("CAEBENCH_STORE", str(folder / "file"))
    found = {one["what"]: one for one in json.loads(desk("doctor", "--json").out)}
    assert found["free disk"]["state"] == "bad" and HINT in found["free disk"]["found"]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_relative_store_begins_in_the_current_folder(desk, folder, monkeypatch, verb):
    monkeypatch.setenv("CAEBENCH_STORE", "mine")
    assert desk(*verb).status == 0
    (folder / "mine").write_text("")
    assert desk(*verb) == (2, "", f"error: store mine: is no folder. {HINT}\n")


@pytest.mark.parametrize("verb", [*VERBS, ("ls",), ("doctor",)], ids=" ".join)
def test_a_current_folder_that_was_deleted_is_named(desk, folder, verb):
    folder.rmdir()
    do = "Change to one that exists."
    assert desk(*verb) == (2, "", f"error: the current folder cannot be used: No such file or directory. {do}\n")
