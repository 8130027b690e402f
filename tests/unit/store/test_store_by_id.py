"""A job is found by its id: the readable part of its folder's name may change, and nothing is forgotten."""

import json

import pytest

from caebench.files.atomic import read_json
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.specs.job import Job, make_job
from caebench.store.state import Statuses
from caebench.store.store import Store
from caebench.suites.loading import load


def finish(store, job):
    folder = store.prepare(job)
    (folder / "result.json").write_text(json.dumps({"metrics": {}, "finished": job.id}))
    return folder


@pytest.fixture
def jobs():
    plan = make_plan(load("ablation-mask-ratio"), SCALES["nano"])
    return plan.jobs


def test_a_renamed_folder_is_the_same_job(tmp_path, jobs):
    store = Store(tmp_path)
    for job in jobs:
        folder = finish(store, job)
        folder.rename(folder.with_name(f"other-words-{job.id}"))
    for known in (store, Store(tmp_path)):
        assert {known.state(job) for job in jobs} == {"done"}
        assert all(known.folder(job).name == f"other-words-{job.id}" for job in jobs)
        assert all(known.prepare(job) == known.folder(job) for job in jobs)
    assert len(list(store.folders())) == len(jobs)


def test_a_changed_word_in_every_slug_forgets_nothing(tmp_path, jobs, monkeypatch):
    for job in jobs:
        finish(Store(tmp_path), job)
    monkeypatch.setattr(Job, "name", property(lambda job: f"{job.kind}/new-words-{job.id}"))
    assert {Store(tmp_path).state(job) for job in jobs} == {"done"}


def test_inputs_are_found_by_their_ids_too(tmp_path, jobs):
    store = Store(tmp_path)
    probe = next(job for job in jobs if "encoder" in job.inputs)
    folder, encoder = store.prepare(probe), store.prepare(probe.inputs["encoder"])
    (encoder / "failure.json").write_text('{"error": "Diverged"}')
    encoder.rename(encoder.with_name(f"renamed-{probe.inputs['encoder'].id}"))
    for role, parent in probe.inputs.items():
        if role != "encoder":
            store.prepare(parent)
    for parent in probe.inputs["encoder"].ancestors():
        store.prepare(parent)
    known = Store(tmp_path)
    assert known.read_job(folder).id == probe.id
    assert known.dependents(known.folder(probe.inputs["encoder"])) == [folder]
    assert Statuses(known).of(folder)[0] == "blocked"


def test_a_folder_that_another_process_makes_is_seen(tmp_path, jobs):
    store = Store(tmp_path)
    assert store.state(jobs[0]) == "todo"
    finish(Store(tmp_path), jobs[0])
    assert store.state(jobs[0]) == "done"


def test_two_folders_of_one_job_are_refused_by_name(tmp_path, jobs):
    folder = finish(Store(tmp_path), jobs[0])
    twin = folder.with_name(f"twin-{jobs[0].id}")
    twin.mkdir()
    (twin / "job.json").write_text(json.dumps(read_json(folder / "job.json")))
    with pytest.raises(ValueError, match=r"are the same job\. Keep the one with result\.json"):
        Store(tmp_path).state(jobs[0])


def test_files_and_folders_without_an_id_are_no_jobs(tmp_path, jobs):
    finish(Store(tmp_path), jobs[0])
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / f"12-{make_job(jobs[0].config).id}").write_text("")
    (tmp_path / "pretrain-aside").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    assert Store(tmp_path).state(jobs[0]) == "done"
