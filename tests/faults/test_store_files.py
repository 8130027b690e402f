"""A file of the store in any wrong form costs its own job or cell: every verb still answers about the others."""

import json
import os
import socket
from pathlib import Path

import pytest

import caebench.planning.scale as scales
from caebench.files.atomic import now, write_json
from caebench.files.layout import (
    ATTEMPTS,
    CHECKPOINTS,
    FAILURE,
    HEARTBEAT,
    INPUTS,
    JOB,
    LEASE,
    METRICS,
    PROVENANCE,
    RESULT,
    id_in,
)
from caebench.files.result import write_result
from caebench.planning.graph import make_plan
from caebench.store.lease import acquire
from caebench.store.store import Store
from caebench.store.usage import look_through
from caebench.suites.loading import load
from tests.helpers import answer, read
from tests.wrong_forms import SOME, WHOLE

SUITE = """
source = { title = "Small" }
pretrain = { recipe = "cae", epochs = 300 }
columns.knn = { header = "k-NN", eval = "knn" }
columns.linear = { header = "LIN", eval = "linear_probe" }
rows = [{ label = "R", recipe = "random" }, { label = "C", target = "pixels" }]
"""
VALUES = (None, float("nan"), [1], 5, "x", float("inf"), {"a": {"b": 1}}, True, 10**30)
FILES = (JOB, LEASE, HEARTBEAT, ATTEMPTS, FAILURE, PROVENANCE, METRICS, INPUTS, RESULT)
BEGAN = {"host": socket.gethostname(), "pid": 1, "begins": now(), "processes": 1, "shared_by": 1, "seen": None}
LINE = {"step": 10, "epoch": 1.5, "loss": 0.5, "images_per_second": 10.0}
HELD = {"purpose": "run", "host": "elsewhere", "pid": 1, "started": "1", "user": "ann", "stale_after": 60.0}
HELD |= {"scheduler": None, "scheduler_id": None, "time": now()}
PROVED = {"commit": "abc", "dirty": False, "packages": {"torch": "2"}, "device": "cpu", "host": "h"}


@pytest.fixture
def store(tmp_path, tiny, monkeypatch):
    """All of a small suite is done but the probes of the second row, one of which runs elsewhere; one has failed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CAEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setitem(scales.SCALES, "nano", tiny)
    (tmp_path / "small.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    found = Store(tmp_path / "store")
    for job in make_plan(load("small.toml"), tiny).jobs:
        folder = found.prepare(job)
        write_json(folder / PROVENANCE, PROVED)
        lines = {ATTEMPTS: [BEGAN, {"pid": 1, "ends": now(), "outcome": "done"}], METRICS: [LINE, LINE]}
        for name, content in lines.items():
            (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in content))
        write_json(folder / INPUTS, dict.fromkeys(job.inputs, "monday"))
        inputs = dict.fromkeys(job.inputs, "monday")
        result = {"id": job.id, "metrics": {"top1": 50.0}, "fingerprints": {"a/val": "1"}, "finished": "monday"}
        write_result(folder, {**result, "intervals": {"top1": [49.0, 51.0]}, "inputs_finished": inputs})
    return found


def unfinished(folder):
    """A job that runs elsewhere."""
    (folder / RESULT).unlink()
    (folder / CHECKPOINTS).mkdir()
    write_json(folder / LEASE, HELD)
    (folder / HEARTBEAT).touch()


def failed(folder):
    (folder / RESULT).unlink()
    write_json(folder / FAILURE, {"error": "ValueError: no", "trace": "a\nb", "time": now()})


@pytest.fixture
def struck(store):
    """The jobs of the second row: its pretraining runs elsewhere, a probe has failed, the other is done."""
    found = {path.parent.name: path for path in store.root.glob("*/*-cae-*")} | {
        path.parent.name: path for path in store.root.glob("pretrain/cae-*")
    }
    assert set(found) == {"pretrain", "linear_probe", "knn"}
    unfinished(found["pretrain"])
    failed(found["linear_probe"])
    return list(found.values())


@pytest.fixture
def ask(capsys, monkeypatch):
    """Runs a verb, which answers; its output is returned."""

    def run(*words):
        found = answer(words, capsys, monkeypatch)
        assert (found.status, found.error) == (0, ""), words
        return found.out

    return run


def others(ask, struck):
    """The facts of `status` about the jobs that were not struck, without what depends on the time of day."""
    found = {fact["job"]: fact for fact in json.loads(ask("status", "--json"))}
    assert found.keys() >= {f"{path.parent.name}/{path.name}" for path in struck}
    return {name: fact for name, fact in found.items() if not any(path.name in name for path in struck)}


def row(ask):
    """The cells of the row that was not struck."""
    cells = json.loads(ask("report", "--suite", "small.toml", "--scale", "nano", "--json"))["cells"]
    return [cell for cell in cells if cell["row"] == "R"]


@pytest.mark.parametrize("way", SOME)
@pytest.mark.parametrize("name", FILES)
def test_a_file_in_a_wrong_form_costs_its_own_jobs(struck, ask, name, way, injected):
    injected(len(struck))
    before = others(ask, struck)
    for folder in struck:
        WHOLE[way](folder / name)
    assert others(ask, struck) == before
    for folder in (*struck, struck[0].parents[1] / next(iter(before))):
        assert json.loads(ask("why", id_in(folder.name), "--json"))["folder"] == str(folder)


OTHERS = [pytest.param(way, marks=pytest.mark.slow) for way in ("empty", "folder", "itself")]


@pytest.mark.parametrize("way", ["deep", *OTHERS])
@pytest.mark.parametrize("name", FILES)
def test_a_suite_with_such_files_is_shown_planned_and_exported(store, struck, ask, name, way, injected):
    injected(len(struck))
    before = row(ask)
    for folder in struck:
        WHOLE[way](folder / name)
    assert row(ask) == before and all(cell["state"] == "done" for cell in before)
    suite = ("small.toml", "--scale", "nano")
    for verb in (["report", "--missing", "--suite"], ["run", "suite", "--dry-run"], ["plan"], ["records", "export"]):
        ask(*verb, *suite)
    ask("why", "small.toml/C/linear", "--scale", "nano")
    assert {stored.folder for stored in look_through(store, set())} >= set(struck)


FIELDS = {
    JOB: ("id", "kind", "config", "inputs", "optional_inputs", "label", "gpu_hours"),
    LEASE: (*HELD, "cancelled", "slurm"),
    ATTEMPTS: (*BEGAN, "ends", "outcome", "stopped_by"),
    FAILURE: ("error", "trace", "time"),
    PROVENANCE: (*PROVED, "packages.torch"),
    METRICS: tuple(LINE),
    INPUTS: ("data",),
    RESULT: (
        *("id", "metrics", "metrics.top1", "fingerprints", "fingerprints.a/val", "finished", "intervals", "files"),
        *("intervals.top1", "inputs_finished", "inputs_finished.encoder", "seconds", "checksum"),
    ),
}
IN_CONFIG = ("seed", "kind", "data", "optimization", "optimization.epochs")


def put(content, field, value):
    name, _, rest = field.partition(".")
    if rest:
        put(content.setdefault(name, {}), rest, value)
    else:
        content[name] = value


def change(path, field, value):
    """Set a field of a file, or of the last line in it; a result loses its checksum."""
    *lines, last = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    content = json.loads(last)
    put(content, field, value)
    if path.name == RESULT and field != "checksum":
        del content["checksum"]
    path.write_text("".join(f"{line}\n" for line in (*lines, json.dumps(content))))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *((name, field) for name, fields in FIELDS.items() for field in fields),
        *((JOB, f"config.{field}") for field in IN_CONFIG),
    ],
)
@pytest.mark.parametrize("values", [VALUES[:3], pytest.param(VALUES[3:], marks=pytest.mark.slow)], ids=["some", "more"])
def test_a_value_of_a_wrong_type_costs_its_own_jobs(struck, ask, name, field, values, injected):
    paths = [folder / name for folder in struck if (folder / name).exists()]
    injected(len(values) * len(paths))
    before, whole = others(ask, struck), {path: path.read_bytes() for path in paths}
    for value in values:
        for path in paths:
            path.write_bytes(whole[path])
            change(path, field, value)
        assert others(ask, struck) == before, value
    for folder in struck:
        ask("why", id_in(folder.name))


# ---- jobs of another caebench ---------------------------------------------------------------------------------------


def rewrite(folder, **changes):
    content = read(folder / JOB)
    write_json(folder / JOB, {**content, **changes, "config": {**content["config"], **changes.get("config", {})}})


NEWER = {"config": {"field_of_tomorrow": 1}}
GONE = {"kind": "of_a_plug_in", "config": {"kind": "of_a_plug_in"}}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [(GONE, "kind 'of_a_plug_in': unknown. Known: real, "), (NEWER, "unknown field 'field_of_tomorrow'")],
    ids=["a kind that is gone", "a newer version's field"],
)
def test_a_finished_job_of_another_caebench_is_a_state_of_its_own(store, ask, capsys, monkeypatch, changes, wrong):
    before = row(ask)
    folder = next(store.root.glob("linear_probe/*-cae-*"))
    rewrite(folder, **changes)
    facts = next(fact for fact in json.loads(ask("status", "--json")) if folder.name in fact["job"])
    do = "Install the version of caebench, or the project with that kind, that wrote it; or delete the job's folder."
    assert facts["state"] == "unknown" and facts["detail"].startswith(f"{folder / JOB}: {wrong}")
    assert facts["detail"].endswith(f". {do}") and "\n" not in facts["detail"]
    assert row(ask) == before
    found = json.loads(ask("report", "--suite", "small.toml", "--scale", "nano", "--json"))["cells"]
    assert [cell["state"] for cell in found if (cell["row"], cell["column"]) == ("C", "linear")] == ["unknown"]
    assert json.loads(ask("why", id_in(folder.name), "--json"))["state"] == "unknown"
    why = json.loads(ask("why", "small.toml/C/linear", "--scale", "nano", "--json"))["numbers"][0]
    assert (why["state"], why["detail"]) == ("unknown", facts["detail"])
    ran = answer(("run", "suite", "small.toml", "--scale", "nano", "--dry-run"), capsys, monkeypatch)
    assert ran.status == 1 and ran.error == "" and f"left out, and what depends on it: {folder / JOB}: " in ran.out
    alone = answer(("run", "job", id_in(folder.name)), capsys, monkeypatch)
    assert alone == (2, "", f"error: {facts['detail']}\n")
    assert read(folder / JOB)["kind"] == changes.get("kind", "linear_probe"), "its file stays as it is"


def test_a_job_is_retried_without_a_dependent_of_another_caebench(store, capsys, monkeypatch):
    encoder = next(store.root.glob("pretrain/cae-*"))
    rewrite(next(store.root.glob("linear_probe/*-cae-*")), **GONE)
    found = answer(("retry", id_in(encoder.name)), capsys, monkeypatch)
    assert found.status == 0 and found.out == f"{id_in(encoder.name)}: no job of it has failed\n"
    assert found.error.startswith("left out: ") and "kind 'of_a_plug_in': unknown." in found.error


# ---- records in git -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", SOME)
def test_a_damaged_record_costs_its_cell(store, ask, way):
    ask("records", "export", "small.toml", "--scale", "nano")
    folder, before = next(store.root.glob("linear_probe/*-cae-*")), row(ask)
    WHOLE[way](Path("results", "nano", "records", f"{id_in(folder.name)}.json"))
    store.root.rename(store.root.with_name("elsewhere"))  # all is in the records
    assert row(ask) == before
    found = json.loads(ask("why", "small.toml/C/linear", "--scale", "nano", "--json"))["numbers"][0]
    do = "Restore the file from git, or delete it and export the record again."
    assert found["state"] == "damaged" and found["detail"].endswith(f"). {do}")


# ---- leases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WHOLE)
def test_what_is_no_lease_is_replaced_once_it_is_old(tmp_path, way):
    path = tmp_path / LEASE
    path.touch()
    WHOLE[way](path)
    os.utime(path, (0, 0), follow_symlinks=False)
    acquire(tmp_path)
    assert read(path)["pid"] == os.getpid() and [one.name for one in tmp_path.glob(f"{LEASE}.*")] == (
        [f"{LEASE}.damaged"] if way == "folder" else []
    )
