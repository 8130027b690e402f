"""The JSON files of job folders, and the records that are kept in git."""

import json
from pathlib import Path
from random import Random

from caebench.files.layout import (
    ATTEMPTS,
    ENCODER,
    FAILURE,
    HEADS,
    HEARTBEAT,
    INPUTS,
    LEASE,
    MADE_OF,
    MAPPING,
    METRICS,
    PER_CLASS,
    RESULT,
)
from caebench.planning.graph import make_plan
from caebench.planning.scale import find_scale
from caebench.store.records import export
from caebench.store.store import Store
from caebench.suites.loading import read as read_suite
from tests.fuzz.case import Case, Content
from tests.fuzz.damage import damaged, no_file
from tests.fuzz.kinds.base import Files, files_below
from tests.fuzz.kinds.suites import SMALL, SUITE
from tests.fuzz.values import changed, json_text, reworded
from tests.golden.fake import finish

LINES = (ATTEMPTS, METRICS)  # a JSON object a line
HOLDER = {
    **{"purpose": "run", "host": "elsewhere", "pid": 123, "started": "456", "user": "ann", "scheduler": None},
    **{"scheduler_id": None, "stale_after": 900.0, "time": "2026-11-30T00:00:00+00:00"},
}
QUEUED = {**HOLDER, "scheduler": "slurm", "scheduler_id": "77", "stale_after": None, "purpose": "pack"}
TRIES = [
    {
        "host": "elsewhere",
        "pid": 123,
        "begins": "2026-11-30T00:00:00+00:00",
        "scheduler": "slurm",
        "scheduler_id": "77",
    },
    {
        "host": "elsewhere",
        "pid": 123,
        "ends": "2026-11-30T01:00:00+00:00",
        "outcome": "stopped",
        "stopped_by": "SIGUSR1",
    },
]
PROGRESS = [
    {"step": step, "epoch": step / 10, "loss": 3.0 - step / 100, "images_per_second": 100.0, "steps": 100, "total": 100}
    for step in (10, 20, 30)
]
FREE = ("error", "trace", "host", "user", "commit", "label", "stopped_by", "time", "name", "reason", "packages")
VERBS = (
    *(("status",), ("status", "--json"), ("status", "mine.toml"), ("status", "{id}"), ("why", "{id}")),
    *(("why", "{id}", "--json"), ("why", "mine.toml/CAE, no alignment/knn"), ("report", "--suite", "mine.toml")),
    *(("report", "--suite", "mine.toml", "--format", name) for name in ("md", "tex", "csv", "json")),
    *(("report", "--suite", "mine.toml", "--missing"), ("report", "--suite", "mine.toml", "--out", "../out")),
    *(("run", "suite", "mine.toml", "--dry-run"), ("plan", "mine.toml"), ("retry", "mine.toml"), ("retry", "{id}")),
    *(("logs", "{id}"), ("cancel", "{id}", "--yes"), ("diff", "{id}", "cae"), ("run", "job", "{id}")),
    *(("records", "export", "mine.toml", "--results", "../out"), ("run", "suite", "mine.toml", "--take-over")),
    *(("ckpt", "export", "{id}", "--to", "timm", "--output", "../out/x"), ("run", "suite", "mine.toml", "--dry-run")),
)
OF_STORE = (
    ("store",),
    ("store", "--json"),
    ("store", "--delete", "--yes"),
)  # half a second each: every suite is planned
RECORDS = "work/results/nano/records"


class Stores:
    """Damaged files in a store."""

    name = "store"
    needs_torch = False

    def base(self, scratch: Path) -> Files:
        (scratch / "mine.toml").write_bytes(SMALL)
        plan = make_plan(read_suite(scratch / "mine.toml"), find_scale("nano"), [0])
        store = Store(scratch / "store")
        for number, job in enumerate(plan.jobs):
            finish(store, job)
            _complete(store.folder(job), number)
        export([job for job in plan.jobs if store.state(job) == "done"], store, scratch / "records")
        records = files_below(scratch / "records", RECORDS)
        return {SUITE: SMALL, **files_below(scratch / "store", "store"), **dict(sorted(records.items())[:1])}

    def case(self, rng: Random, base: Files) -> Case:
        name = rng.choice([name for name in base if name.startswith(("store/", RECORDS))])
        words = rng.choice(OF_STORE if rng.random() < 0.02 else VERBS)
        job = name.split("/")[2].rpartition("-")[2] if name.startswith("store/") else "0"
        arguments = tuple(word.format(id=job) for word in words)
        return Case(self.name, (*arguments, "--store", "../store"), {name: _content(rng, name, base)})


def _complete(folder: Path, number: int) -> None:
    """Fill a job's folder with every file that one may hold; every third job has failed, or was not begun."""
    if number % 3:
        (folder / RESULT).unlink()
    if number % 3 == 1:
        _write(folder / FAILURE, {"error": "Diverged: the loss is not finite", "trace": "in a file", "time": "now"})
    for name, content in {
        LEASE: QUEUED if number % 2 else HOLDER,
        INPUTS: {"data": "2026-11-30T00:00:00+00:00", "encoder": None},
        MAPPING: {"encoder": {"a": "b"}, "unused": {}},
        HEADS: {"heads": [{"lr": 0.1, "top1": 50.0}], "chosen": 0},
        MADE_OF: {"config": {"kind": "codes"}, "inputs_finished": {"data": "x"}},
    }.items():
        _write(folder / name, content)
    for name, lines in ((ATTEMPTS, TRIES), (METRICS, PROGRESS)):
        (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / HEARTBEAT).write_bytes(bytes(10))
    (folder / PER_CLASS).write_text("class,top1\na,50.0\n")
    (folder / ENCODER).write_bytes(b"not weights")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _content(rng: Random, name: str, base: Files) -> Content:
    old, draw = base[name], rng.random()
    if draw < 0.12:
        return no_file(rng)
    if draw < 0.35 or not name.endswith((".json", ".jsonl")):
        return damaged(rng, old, [old, base[rng.choice(list(base))]])
    if not name.endswith(LINES):
        return json_text(rng, _changed(rng, json.loads(old)))
    lines = old.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = json_text(rng, _changed(rng, json.loads(lines[place])))
    return b"\n".join(lines) + b"\n"


def _changed(rng: Random, tree: object) -> object:
    return reworded(rng, tree, FREE) if rng.random() < 0.3 else changed(rng, tree, rng.choice([1, 1, 1, 2]))
