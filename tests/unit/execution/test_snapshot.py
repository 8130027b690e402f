"""The code that a job runs, kept with its commit."""

import json
import subprocess
import sys
import tarfile

import pytest

from caebench.execution import provenance, snapshot
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm


def git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with the code's folders."""
    folder = tmp_path / "checkout"
    for name in provenance.CODE:
        path = folder / name if "." in name else folder / name / "a.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("first")
    (folder / "caebench" / "a.py").write_text("first")
    git(folder.parent, "init", "-q", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    for module in (provenance, snapshot):
        monkeypatch.setattr(module, "REPOSITORY", folder)
    return folder


def test_a_snapshot_is_the_commit_whatever_is_edited_later(checkout, tmp_path):
    found = snapshot.take(tmp_path / "store")
    (checkout / "caebench" / "a.txt").write_text("second")
    assert (found / "caebench" / "a.txt").read_text() == "first"
    facts = json.loads((found / provenance.MARKER).read_text())
    files = provenance.hash_files(found / "caebench")
    assert facts == {"commit": git(checkout, "rev-parse", "HEAD").strip(), "dirty": False, "sha256": files}


def test_the_same_commit_is_kept_once(checkout, tmp_path):
    first = snapshot.take(tmp_path / "store")
    (first / "mark").write_text("")
    assert snapshot.take(tmp_path / "store") == first and (first / "mark").exists()
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_changed_tree_is_refused_or_marked(checkout, tmp_path):
    (checkout / "caebench" / "new.txt").write_text("new")
    with pytest.raises(ValueError, match=r"caebench/new.txt.*--dirty"):
        snapshot.take(tmp_path / "store")
    found = snapshot.take(tmp_path / "store", dirty_is_fine=True)
    assert (found / "caebench" / "new.txt").exists()
    assert json.loads((found / provenance.MARKER).read_text())["dirty"]


def test_without_a_checkout_there_is_nothing_to_run(tmp_path, monkeypatch):
    for module in (provenance, snapshot):
        monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    with pytest.raises(ValueError, match="not a git checkout"):
        snapshot.take(tmp_path / "store")


def test_a_snapshot_that_was_changed_is_refused(checkout, tmp_path):
    found = snapshot.take(tmp_path / "store")
    (found / "caebench" / "a.py").unlink()
    with pytest.raises(ValueError, match=rf"{found}: files of this snapshot were changed or deleted\. Delete the"):
        snapshot.take(tmp_path / "store")


def test_a_changed_tree_is_copied_with_every_name(checkout, tmp_path):
    (checkout / "suites" / "größe 'a'.toml").write_text("new")
    assert (snapshot.take(tmp_path / "store", dirty_is_fine=True) / "suites" / "größe 'a'.toml").exists()


def test_a_python_without_tarfiles_filters_takes_a_snapshot(checkout, tmp_path, monkeypatch):
    """As 3.11.0 to 3.11.3: no `data_filter`, and `extractall` has no `filter`."""
    extract = tarfile.TarFile.extractall
    monkeypatch.delattr(tarfile, "data_filter", raising=False)  # where it is one of these
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: extract(self, path))
    assert (snapshot.take(tmp_path / "store") / "caebench" / "a.txt").read_text() == "first"


def test_a_planned_snapshot_is_checked_and_not_written(checkout, tmp_path):
    folder = snapshot.planned(tmp_path / "store")
    assert not (tmp_path / "store").exists() and folder == snapshot.take(tmp_path / "store")
    (checkout / "caebench" / "a.py").write_text("second")
    with pytest.raises(ValueError, match=r"uncommitted changes.*--dirty"):
        snapshot.planned(tmp_path / "store")


def test_a_job_in_a_snapshot_says_its_commit(tmp_path):
    found = snapshot.take(tmp_path / "store", dirty_is_fine=True)
    code = "from caebench.execution.provenance import collect; print(collect()['commit'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=found, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == git(provenance.REPOSITORY, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize(("store", "said"), [("store", "absolute path"), ("/tmp/store", "other nodes do not see it")])
def test_a_store_that_jobs_cannot_find_is_refused(store, said):
    with pytest.raises(ValueError, match=said):
        Site(store=store, slurm=Slurm())
    assert Site(store=store).store and Site(store="/tmp/store", slurm=Slurm(), shared_store=True)


def test_a_stage_may_ask_for_something_else():
    slurm = Slurm(partition="gpu", gpus_per_node=8, nodes=4, stages={"knn": {"nodes": 1, "minutes": 30}})
    assert slurm.num_processes == 32
    probe = slurm.of("knn")
    assert (probe.partition, probe.nodes, probe.minutes, probe.num_processes) == ("gpu", 1, 30, 8)
    assert slurm.of("pretrain") == slurm
    assert Slurm(gpus_per_node=0, tasks_per_node=2, nodes=2).num_processes == 4
