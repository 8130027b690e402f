"""What `caebench store` shows, and what it deletes."""

import json
import os

import pytest

from caebench.files.atomic import read_json, write_json
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.planning.setup import planned_ids
from caebench.specs.inputs.imported import imported
from caebench.specs.job import Job, make_job
from caebench.store.lease import acquire, release
from caebench.store.store import Store
from caebench.store.usage import delete, look_through, others
from caebench.suites.loading import load


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def probe():
    """A linear probe of the quickstart, with what it depends on."""
    plan = make_plan(load("quickstart"), SCALES["nano"])
    return next(job for job in plan.jobs if job.kind == "linear_probe" and job.inputs["encoder"].kind == "pretrain")


def finish(store, job):
    for one in (*job.ancestors(), job):
        folder = store.prepare(one)
        (folder / "result.json").write_text(json.dumps({"metrics": {}}))
        (folder / "weights").write_bytes(bytes(1000))
    return store.folder(job)


def other(job, **changes):
    """A job that no suite plans: the same with another config."""
    return make_job(
        job.config.replace(**changes), **{"encoder": job.inputs["encoder"]} if "encoder" in job.inputs else {}
    )


def going(store):
    return {one.folder for one in look_through(store, planned_ids(store)) if one.is_deletable}


def test_what_suites_plan_and_what_it_depends_on_stays(store, probe):
    finish(store, probe)
    assert going(store) == set() and delete(look_through(store, planned_ids(store))) == 0


def test_a_job_that_no_suite_plans_is_deletable_and_its_inputs_in_use_are_kept(store, probe):
    finish(store, probe)
    extra = finish(store, other(probe, crop_scale_min=0.3))
    assert going(store) == {extra}
    found = look_through(store, planned_ids(store))
    assert delete(found) == next(one.num_bytes for one in found if one.folder == extra) >= 1000
    assert not extra.exists() and store.state(probe) == "done" and Store(store.root).state(probe) == "done"
    assert not [name for name in os.listdir(extra.parent) if name.startswith(".")]


def test_an_unplanned_encoder_stays_for_a_planned_jobs_sake(store, probe):
    """As after a hand-written job.json: what a kept job names as its input is kept."""
    encoder = finish(store, other(probe.inputs["encoder"], seed=77))
    folder = finish(store, probe)
    content = read_json(folder / "job.json")
    content["inputs"]["encoder"] = f"pretrain/{encoder.name}"
    write_json(folder / "job.json", content)
    planned = planned_ids(store) - {encoder.name[-10:]}
    found = {one.folder: one for one in look_through(store, planned)}
    assert found[encoder].is_unplanned and not found[encoder].is_deletable
    assert found[encoder].kept_for == f"linear_probe/{folder.name}"


def test_a_running_job_and_its_inputs_stay(store, probe):
    encoder = other(probe.inputs["encoder"], crop_scale_min=0.77)
    runs = store.prepare(make_job(probe.config, encoder=encoder))
    finish(store, encoder)
    acquire(runs)
    try:
        assert going(store) == set() and delete(look_through(store, planned_ids(store))) == 0
        assert store.folder(encoder).exists()
    finally:
        release(runs)
    assert store.folder(encoder) in going(store)


def test_a_job_that_begins_to_run_after_the_look_stays(store, probe):
    extra = finish(store, other(probe, crop_scale_min=0.3))
    found = look_through(store, planned_ids(store))
    acquire(extra)
    assert delete(found) == 0 and (extra / "result.json").exists()
    release(extra)


def test_an_older_id_is_shown_with_the_one_of_today(store, probe, monkeypatch):
    folder = finish(store, probe)
    monkeypatch.setattr(type(probe.config), "VERSION", 77)
    today = Job(probe.config, probe.inputs).id
    found = {one.folder: one for one in look_through(store, planned_ids(store))}
    assert found[folder].is_deletable and found[folder].newer == today != probe.id


def test_a_config_of_an_older_form_is_deletable_and_has_no_newer_id(store, probe):
    folder = finish(store, other(probe, crop_scale_min=0.3))
    content = read_json(folder / "job.json")
    content["config"]["gone"] = 1
    write_json(folder / "job.json", content)
    found = {one.folder: one for one in look_through(store, planned_ids(store))}
    assert found[folder].is_deletable and found[folder].newer is None


def test_a_job_of_a_kind_that_is_gone_is_deletable(store, probe):
    folder = finish(store, other(probe, crop_scale_min=0.3))
    content = read_json(folder / "job.json")
    content["config"]["kind"] = "of another day"
    write_json(folder / "job.json", content)
    (found,) = [one for one in look_through(store, planned_ids(store)) if one.folder == folder]
    assert found.is_deletable and found.newer is None


def test_an_imported_encoder_stays(store):
    folder = finish(store, make_job(imported(sha256="0" * 64, family="mae")))
    (found,) = look_through(store, planned_ids(store))
    assert (found.folder, found.kind, found.is_deletable) == (folder, "imported", False)
    assert delete([found]) == 0 and folder.exists()


def test_nothing_goes_while_it_is_not_known_what_a_job_depends_on(store, probe):
    """The inputs of a kept job stay, also where its `job.json` no longer names them."""
    extra = finish(store, other(probe, crop_scale_min=0.3))
    folder = finish(store, probe)
    (folder / "job.json").write_text("{")
    found = {one.folder: one for one in look_through(store, planned_ids(store))}
    assert found[extra].is_unplanned and not found[extra].is_deletable
    assert found[extra].kept_for == f"linear_probe/{folder.name}, whose job.json is damaged"
    (folder / "job.json").unlink()
    store.prepare(probe)
    assert going(store) == {extra}


def test_logs_snapshots_and_leftovers_are_counted_apart(store, probe):
    folder = finish(store, probe)
    (folder / ".result.json.7.partial").write_bytes(bytes(10))
    (store.root / "slurm").mkdir()
    (store.root / "slurm" / "7_0_log.out").write_bytes(bytes(20))
    assert others(store) == {"slurm": 20, "left over": 10}


def test_the_jobs_of_a_suite_file_that_is_named_stay(store, probe, tmp_path):
    mine = tmp_path / "mine.toml"
    text = load("quickstart").path.read_text(encoding="utf8").split("[[claims]]")[0]
    mine.write_text(
        text.replace('columns.linear = { header = "LIN"', 'columns.linear = { set.crop_scale_min = 0.3, header = "LIN"')
    )
    wanted = next(job for job in make_plan(load(str(mine)), SCALES["nano"]).jobs if job.kind == "linear_probe")
    folder = finish(store, wanted)
    assert folder in going(store)
    assert not [one for one in look_through(store, planned_ids(store, [str(mine)])) if one.is_deletable]


def test_what_eval_has_made_stays_and_so_does_a_suite_of_the_working_folder(store, probe, tmp_path, monkeypatch):
    """No suite names an imported encoder's evaluations; `./mine.toml` is found by its name."""
    encoder = make_job(imported(sha256="0" * 64, family="mae"))
    evaluated = finish(store, make_job(probe.config, encoder=encoder))
    row = '{ label = "C", recipe = "cae", target = "pixels", epochs = 16, set.optimization.base_lr = 0.123 }'
    text = f'rows = [{row}]\ncolumns.knn = {{ header = "k-NN", eval = "knn" }}\n'
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work" / "mine.toml").write_text(text, encoding="utf8")
    (tmp_path / "work" / "other.toml").write_text("a = 1\n", encoding="utf8")
    mine = finish(store, make_plan(load("mine"), SCALES["nano"]).jobs[-1])
    assert not going(store) & {evaluated, mine}
    (tmp_path / "work" / "mine.toml").unlink()
    assert mine in going(store) and evaluated not in going(store)
