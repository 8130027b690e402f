"""What caebench never writes into a job's file is damage, also where the JSON is whole."""

import json
import os

import pytest

from caebench.files.atomic import write_json
from caebench.files.layout import FAILURE, JOB, PROVENANCE, RESULT
from caebench.files.result import damage, intact

OWN, OTHER = "0123456789", "abcdefabcd"
WHOLE = {
    JOB: {"id": OWN, "kind": "knn", "config": {}, "inputs": {"data": f"data/x-{OTHER}"}},
    PROVENANCE: {"commit": "abc", "dirty": False, "packages": {"torch": "2"}},
    RESULT: {"id": OWN, "metrics": {"top1": 71.0, "loss": 250.0}, "intervals": {"top1": [70, 72.5]}},
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "knn" / f"a-{OWN}"
    path.mkdir(parents=True)
    for name, content in WHOLE.items():
        write_json(path / name, content)
    assert damage(path) is None
    return path


@pytest.mark.parametrize(
    ("name", "changes", "wrong"),
    [
        (RESULT, {"metrics": {"top1": 250.0}}, "top1 is 250 %"),
        (RESULT, {"metrics": {"AP_box": -1}}, "AP_box is -1 %"),
        (RESULT, {"metrics": {"top1": float("nan")}}, "metrics.top1 is 'nan'"),
        (RESULT, {"metrics": {"top1": "71"}}, "metrics.top1 is '71'"),
        (RESULT, {"metrics": {"top1": None}}, "metrics.top1 is 'None'"),
        (RESULT, {"metrics": [71]}, "metrics is '[71]'"),
        (RESULT, {"intervals": {"top1": [70]}}, "intervals.top1 is '[70]'"),
        (RESULT, {"fingerprints": []}, "fingerprints is '[]'"),
        (RESULT, {"id": OTHER}, f"it is of job {OTHER}"),
        (JOB, {"id": OTHER}, f"it is of job {OTHER}"),
        (JOB, {"inputs": {"encoder": 5}}, "inputs.encoder is '5'"),
        (JOB, {"inputs": {"encoder": f"knn/a-{OWN}"}}, "the job is its own input"),
        (JOB, {"config": "x"}, "config is 'x'"),
        (PROVENANCE, {"packages": ["torch"]}, "packages is \"['torch']\""),
    ],
)
def test_a_value_that_caebench_never_writes_is_damage(folder, name, changes, wrong):
    (folder / name).write_text(json.dumps({**WHOLE[name], **changes}))
    assert damage(folder) == f"{folder / name}: damaged ({wrong}). Delete the job's folder and run the suite again."
    assert intact(folder, name) == {}


@pytest.mark.parametrize("name", ["kind", "config", "inputs"])
def test_a_field_that_readers_need_is_there(folder, name):
    (folder / JOB).write_text(json.dumps({key: value for key, value in WHOLE[JOB].items() if key != name}))
    assert f"damaged (no {name})" in (damage(folder) or "")


def test_a_failure_in_other_words_is_none(folder):
    (folder / FAILURE).write_text('{"error": 5}')
    assert intact(folder, FAILURE) == {}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"id": ' * 100_000])
def test_brackets_without_end_are_damage(folder, text):
    (folder / RESULT).write_text(text)
    assert "damaged" in (damage(folder) or "")


@pytest.mark.parametrize("name", [JOB, RESULT])
@pytest.mark.parametrize("target", ["/dev/zero", "/nowhere", "itself"])
def test_a_link_to_no_file_is_damage(folder, name, target):
    (folder / name).unlink()
    os.symlink(name if target == "itself" else target, folder / name)
    assert (
        damage(folder)
        == f"{folder / name}: damaged (no regular file). Delete the job's folder and run the suite again."
    )
    assert intact(folder, name) == {}
