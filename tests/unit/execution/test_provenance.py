"""Whose commit a result gets."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import caebench
from caebench.execution import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make a folder with the package's files; the provenance is asked for from there."""

    def at(*parts, is_checkout):
        folder = tmp_path.joinpath(*parts)
        (folder / "caebench").mkdir(parents=True)
        (folder / "caebench" / "a.py").write_text("first")
        if is_checkout:
            commit_all(folder)
        monkeypatch.setattr(provenance, "REPOSITORY", folder)
        return folder

    return at


def commit_all(folder):
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")


def test_a_checkout_gives_its_commit_and_its_changes(make):
    folder = make("clone", is_checkout=True)
    files = provenance.hash_files(folder / "caebench")
    assert provenance.code() == {"commit": git(folder, "rev-parse", "HEAD"), "dirty": False, "sha256": files}
    (folder / "caebench" / "a.py").write_text("second")
    changed = provenance.code()
    assert changed["dirty"] is True and changed["sha256"] != files


def test_asking_for_the_commit_writes_nothing_to_the_checkout(make):
    folder = make("clone", is_checkout=True)
    os.utime(folder / "caebench" / "a.py", (1, 1))  # `git status` would note the new time in its index
    before = (folder / ".git" / "index").read_bytes()
    assert provenance.code()["dirty"] is False
    assert (folder / ".git" / "index").read_bytes() == before


def test_an_environment_inside_another_repository_does_not_give_that_ones_commit(make, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own.txt").write_text("")
    commit_all(tmp_path / "project")
    folder = make("project", ".venv", "lib", "site-packages", is_checkout=False)
    assert provenance.code() == {
        "commit": None,
        "dirty": None,
        "no_commit": f"{folder}: not a git checkout of caebench",
        "version": provenance.installed("caebench"),
        "sha256": provenance.hash_files(folder / "caebench"),
    }


def test_a_hook_of_another_repository_does_not_redirect_git(make, monkeypatch, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "own.txt").write_text("")
    commit_all(other)
    folder = make("clone", is_checkout=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    found = provenance.commit()
    monkeypatch.delenv("GIT_DIR")
    assert found == git(folder, "rev-parse", "HEAD")


def test_a_missing_git_is_named(make, monkeypatch, tmp_path):
    folder = make("clone", is_checkout=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = provenance.code()
    said = f"{folder}: git cannot be run (No such file or directory), so the commit is unknown"
    assert (found["commit"], found["dirty"], found["no_commit"]) == (None, None, said)


def test_a_checkout_of_another_user_is_named_with_gits_advice(make, monkeypatch):
    folder = make("clone", is_checkout=True)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(folder))
    said = provenance.code()["no_commit"]
    assert said.startswith(f"{folder}: git rev-parse failed: fatal: detected dubious ownership")
    assert f"git config --global --add safe.directory {folder}" in said


def test_the_hash_is_of_names_and_contents_of_the_packages_own_files(tmp_path):
    package = tmp_path / "package"
    shutil.copytree(Path(caebench.__file__).parent / "files", package)
    found = provenance.hash_files(package)
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "a.pyc").write_text("")
    (package / ".nfs000.py").write_text("")
    assert provenance.hash_files(package) == found
    os.rename(package / "atomic.py", package / "atomics.py")
    assert provenance.hash_files(package) != found


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"commit": "a" * 40, "dirty": False, "sha256": "b" * 64}, f"commit {'a' * 12} (files {'b' * 12})"),
        ({"commit": "a" * 40, "dirty": True, "sha256": "b" * 64}, f"commit {'a' * 12} with changes (files {'b' * 12})"),
        ({"commit": None, "version": "0.1.0", "sha256": "b" * 64}, f"caebench 0.1.0 of no commit (files {'b' * 12})"),
    ],
)
def test_code_in_words(known, said):
    assert provenance.describe(known) == said
