"""Records in git stand in for jobs that are not in the store, and for no others."""

import pytest

from caebench.files.atomic import read_json, write_json
from caebench.files.layout import RESULT
from caebench.files.result import write_result
from caebench.specs.evaluations.knn import knn
from caebench.specs.inputs.random_encoder import random_encoder
from caebench.specs.job import make_job
from caebench.store.records import Records, export
from caebench.store.store import DriftError, Store


@pytest.fixture
def job():
    return make_job(knn(), encoder=make_job(random_encoder("vit_b")))


def finish(store, job, finished="monday", **facts):
    write_result(store.prepare(job), {"metrics": {"top1": 50.0}, "finished": finished, **facts})


@pytest.fixture
def kept(tmp_path, job):
    """Records of a store in which the job is done."""
    store = Store(tmp_path / "there")
    for parent in job.inputs.values():
        finish(store, parent)
    finish(store, job, inputs_finished=dict.fromkeys(job.inputs, "monday"))
    assert export([job], store, tmp_path / "records") == (1, 0)
    return tmp_path / "records"


def test_a_job_that_is_not_in_the_store_has_its_record(tmp_path, job, kept):
    records = Records(Store(tmp_path / "here"), kept)
    assert records.state(job) == "done"
    record = records.find(job)
    assert record is not None and record["metrics"] == {"top1": 50.0}


@pytest.mark.parametrize("how", ["its input has changed", "its result is damaged"])
def test_a_job_that_is_to_do_again_has_none(tmp_path, job, kept, how):
    store = Store(tmp_path / "here")
    for parent in job.inputs.values():
        finish(store, parent, "tuesday" if how == "its input has changed" else "monday")
    finish(store, job, inputs_finished=dict.fromkeys(job.inputs, "monday"))
    if how == "its result is damaged":
        (store.folder(job) / RESULT).write_bytes(b"{")
    records = Records(store, kept)
    assert records.state(job) == ("todo" if how == "its input has changed" else "damaged")
    assert records.find(job) is None


def test_a_record_of_another_config_is_an_error(tmp_path, job, kept):
    path = kept / f"{job.id}.json"
    content = read_json(path)
    write_json(path, {**content, "config": {**content["config"], "image_size": 1}})
    with pytest.raises(DriftError, match="this record has the same id as today's job, but other values"):
        Records(Store(tmp_path / "here"), kept).find(job)
