"""SLURM's commands fail, hang, lie or answer late: no job runs twice, and none is called lost by one bad answer."""

import itertools
import json
import os
import time
from types import SimpleNamespace

import pytest

from caebench.cli import follow, status
from caebench.execution import snapshot as snapshots
from caebench.execution.schedulers.base import SchedulerSilent
from caebench.execution.schedulers.slurm import queue, sbatch
from caebench.execution.schedulers.slurm.payload import Payload, own_job
from caebench.files.atomic import write_json
from caebench.files.layout import FAILURE, LEASE, RESULT
from caebench.planning.graph import make_plan
from caebench.specs.site import Site
from caebench.store.holders import holder, holder_id, user_name
from caebench.store.lease import LeaseTaken, acquire
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.faults.lying_slurm import FAULTS, LOST, SILENT, TRUE, LyingSlurm, seeded
from tests.unit.cli.conftest import desk as desk

SUITE = """
source = { title = "Lies" }
pretrain = { recipe = "random" }
columns.knn = { header = "k-NN", eval = "knn" }
columns.linear = { header = "LIN", eval = "linear_probe" }
columns.finetune = { header = "FT", eval = "finetune" }
rows = [{ label = "Random encoder" }]
"""
RUNS, WAITS, ENDED = "7", "8", "9"  # SLURM's jobs of the three evaluations
QUEUED = {RUNS: "RUNNING", WAITS: "PENDING", "3": "RUNNING"}
STALE = {ENDED: "RUNNING", "6": "RUNNING"}  # before the two that are in the queue were submitted
EVALUATIONS = ("knn", "linear_probe", "finetune")
GOES_ON = ("running", "queued")


@pytest.fixture
def slurm(tmp_path, monkeypatch, request) -> LyingSlurm:
    monkeypatch.setattr(sbatch, "LOOKS", (0.01, 0.02))
    monkeypatch.setattr(queue, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(snapshots, "take", lambda store, dirty: None)
    queue._warn_once.cache_clear()
    return LyingSlurm(tmp_path, monkeypatch, seeded(request.node.name))


@pytest.fixture
def impatient(request, monkeypatch):
    """A command that hangs is given up at once; the others have a minute on a busy machine."""
    if "hangs" in request.node.name:
        monkeypatch.setattr(queue, "CALL_LIMIT", 0.5)


@pytest.fixture
def suite(desk, tiny):
    """A suite's file; its data and encoder are done, and its evaluations not submitted."""
    path = desk.home / "lies.toml"
    path.write_text(SUITE)
    store = Store(desk.store)
    for job in make_plan(suites.load(str(path)), tiny, [0, 1]).jobs:
        folder = store.prepare(job)
        if job.kind not in EVALUATIONS:
            write_json(folder / RESULT, {"metrics": {}})
    return path


@pytest.fixture
def folders(desk, suite, slurm):
    """The folders of the evaluations by kind: one runs, one waits, one has ended at its time limit."""
    found = {}
    for kind, job_id in (("knn", RUNS), ("linear_probe", WAITS), ("finetune", ENDED)):
        (found[kind],) = (desk.store / kind).glob("*-s0-*")
        lease = {"scheduler": "slurm", "scheduler_id": job_id, "user": user_name(), "purpose": "run"}
        write_json(found[kind] / LEASE, {**lease, "host": "", "pid": 1, "started": "1"})
        os.utime(found[kind] / LEASE, (time.time() - 3600,) * 2)
    slurm.know(QUEUED, {ENDED: "TIMEOUT"}, STALE)
    return found


def ask(desk, suite, *verb):
    """A verb's answer; an error is one line that says what to do."""
    answer = desk(*verb[:-1], *([verb[-1]] if verb[-1] else []), "--site", "cluster")
    assert answer.status in (0, 1, 2), answer
    if answer.status == 2:
        (line,) = [line for line in answer.error.splitlines() if line.startswith("error: ")]
        assert any(words in line for words in ("Run ", "Correct ")) and "Traceback" not in answer.error, answer
    return answer


def states(answer):
    return {fact["job"].partition("/")[0]: fact["state"] for fact in json.loads(answer.out)}


def check(desk, suite, slurm, folders):
    """What holds whatever one command answers, for the verbs that look and for those that submit."""
    before = {kind: holder(folders[kind]) for kind in ("knn", "linear_probe")}
    shown = ask(desk, suite, "status", str(suite), "--json")
    if shown.status == 0:
        found = states(shown)
        assert found["knn"] in GOES_ON and found["linear_probe"] in GOES_ON, shown
        assert found["finetune"] in ("lost", *GOES_ON) and found["pretrain"] == "done", shown
    for verb in (("retry", str(suite), "--dirty"), ("run", "suite", str(suite), "--yes", "--dirty")):
        answer = ask(desk, suite, *verb)
        assert (answer.status in (0, 2) and "0 submitted" in answer.out) or len(slurm.scripts()) <= 1, answer
        assert before == {kind: holder(folders[kind]) for kind in before}, answer
    assert not list(desk.store.glob(f"*/*/{FAILURE}"))
    assert len(slurm.scripts()) == len(list((desk.store / "slurm").glob("*_submitted.pkl"))) <= 1
    return shown


@pytest.mark.parametrize("fault", FAULTS)
def test_squeue_is_bad(desk, suite, slurm, folders, impatient, fault):
    slurm.fault("squeue", FAULTS[fault])
    shown = check(desk, suite, slurm, folders)
    refuses = ("fails", "fails with an answer", "hangs", "breaks off in a line", "garbage")
    assert (shown.status == 2) == (fault in refuses), shown
    assert shown.status == 0 or shown.error.startswith("error: squeue: "), shown
    slurm.fault("squeue")
    ask(desk, suite, "run", "suite", str(suite), "--yes", "--dirty")
    assert len(slurm.scripts()) == 1, "the job that has ended is submitted, once"
    assert "0 submitted, 3 were already" in ask(desk, suite, "run", "suite", str(suite), "--yes", "--dirty").out


@pytest.mark.parametrize("fault", FAULTS)
def test_sacct_is_bad(desk, suite, slurm, folders, impatient, fault):
    slurm.fault("sacct", FAULTS[fault])
    assert states(check(desk, suite, slurm, folders))["finetune"] == "lost", "scontrol says so"
    assert slurm.scripts() == ["101"]


@pytest.mark.parametrize("fault", FAULTS)
def test_scontrol_is_bad_where_it_is_needed(desk, suite, slurm, folders, impatient, fault):
    """squeue is stale, and accounting has no end of the jobs: both know too little."""
    slurm.fault("squeue", FAULTS["stale"])
    slurm.fault("sacct", FAULTS["is empty"])
    slurm.fault("scontrol", FAULTS[fault])
    if fault not in ("is empty", "of another job", "stale", "breaks off after a line"):  # then all three are bad
        check(desk, suite, slurm, folders)
        assert slurm.scripts() == []
    elif fault == "stale":
        assert ask(desk, suite, "status", str(suite), "--json").status == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_cancel_reaches_every_job_or_says_that_it_cannot_know(desk, suite, slurm, folders, impatient, fault):
    slurm.fault("squeue", FAULTS[fault])
    answer = ask(desk, suite, "cancel", str(suite), "--yes")
    given = {job_id for call in slurm.calls("scancel") for job_id in call.split()}
    assert given >= {RUNS, WAITS} if answer.status == 0 else not given, answer


@pytest.mark.parametrize("fault", ["fails", "hangs"])
def test_a_cancel_that_fails_is_said_and_can_be_repeated(desk, suite, slurm, folders, impatient, fault):
    slurm.fault("scancel", FAULTS[fault])
    answer = ask(desk, suite, "cancel", str(suite), "--yes")
    assert answer.status == 2 and answer.error.startswith("error: scancel: "), answer
    assert "cancelled" not in holder(folders["knn"])
    slurm.fault("scancel")
    assert "2 cancelled" in ask(desk, suite, "cancel", str(suite), "--yes").out


def clock(*steps):
    """A clock that jumps, and whose pauses take these steps."""
    left, minutes = iter(steps), itertools.count(step=60)
    return SimpleNamespace(sleep=lambda _: next(left)(), monotonic=lambda: next(minutes))


def test_watching_ends_by_no_bad_answer(desk, suite, slurm, folders, monkeypatch):
    steps = [lambda fault=fault: slurm.fault("squeue", fault) for name, fault in FAULTS.items() if name != "hangs"]
    end = [lambda: slurm.fault("squeue"), lambda: write_json(folders["knn"] / RESULT, {"metrics": {}})]
    monkeypatch.setattr(status, "time", clock(*steps, *end))
    answer = ask(desk, suite, "status", folders["knn"].name.rpartition("-")[2], "--watch")
    lines = answer.out.splitlines()
    assert answer.status == 0 and lines[-1] == "1 done", answer
    assert {line for line in lines if "Asking again." not in line} == {"1 running", "1 queued", "1 done"}, lines
    assert all(line.startswith("squeue: ") for line in lines if "Asking again." in line)


def test_following_a_log_ends_by_no_bad_answer(desk, suite, slurm, folders, monkeypatch):
    log = desk.store / "slurm" / f"{RUNS}_0_log.out"
    log.parent.mkdir()
    log.write_text("first\n")
    steps = [lambda fault=fault: slurm.fault("squeue", fault) for name, fault in FAULTS.items() if name != "hangs"]
    end = [lambda: log.write_text("first\nlast\n"), lambda: write_json(folders["knn"] / RESULT, {"metrics": {}})]
    monkeypatch.setattr(follow, "time", clock(*steps, *end))
    answer = ask(desk, suite, "logs", folders["knn"].name.rpartition("-")[2], "-f")
    assert (answer.status, answer.out) == (0, "first\nlast\n"), answer


@pytest.fixture
def ids(desk, suite):
    """SLURM's ids of the evaluations, by their leases."""

    def read():
        found = map(holder_id, Store(desk.store).folders())
        return {one.id for one in found if one}

    return read


def run(desk, suite, *more):
    return ask(desk, suite, "run", "suite", str(suite), "--yes", "--dirty", *more)


@pytest.mark.parametrize(
    ("fault", "seeds"),
    [*((fault, "0") for fault in LOST), *(pytest.param(fault, "0,1", marks=pytest.mark.slow) for fault in LOST)],
)
def test_a_job_whose_submission_was_not_answered_is_found(desk, suite, slurm, ids, impatient, fault, seeds):
    slurm.fault("sbatch", LOST[fault])
    answer = run(desk, suite, "--seeds", seeds)
    accepted = set(slurm.scripts())
    assert answer.status == 0 and accepted == {one.partition("_")[0] for one in ids()}, answer
    pickles = {path.name.partition("_submitted")[0] for path in (desk.store / "slurm").glob("*_submitted.pkl")}
    assert pickles >= ids()
    slurm.fault("sbatch")
    assert "0 submitted" in run(desk, suite, "--seeds", seeds).out and set(slurm.scripts()) == accepted


@pytest.mark.parametrize("fault", ["times out", "is empty", "garbage"])
def test_a_job_that_nobody_can_find_runs_nothing(desk, suite, slurm, ids, fault):
    """sbatch does not answer and neither does squeue: the job waits for a pickle that never comes, and ends."""
    slurm.fault("sbatch", f"{LOST[fault]}; touch {slurm.truth}/lost")
    slurm.fault("squeue", f'if [ -e "$truth/scripts.asked" ]; then {SILENT}; fi; touch "$truth/scripts.asked"; {TRUE}')
    answer = run(desk, suite)
    assert answer.status == 2 and "ends by itself" in answer.error and "Run the command again" in answer.error, answer
    (lost,) = slurm.scripts()
    assert ids() == set()
    slurm.fault("sbatch")
    slurm.fault("squeue")
    assert run(desk, suite).status == 0
    assert lost not in ids() and not (desk.store / "slurm" / f"{lost}_submitted.pkl").exists()
    assert "0 submitted" in run(desk, suite).out


def test_a_job_that_slurm_accepts_late_is_found(desk, suite, slurm, ids):
    hidden = 'touch "$truth/look"; if [ $(wc -l < "$truth/look") -lt 2 ]; then echo >> "$truth/look"; else '
    slurm.fault("sbatch", LOST["times out"])
    slurm.fault("squeue", f'case "$*" in *%o*) {hidden} {TRUE}; fi;; *) {TRUE};; esac')
    assert run(desk, suite).status == 0 and ids() == set(slurm.scripts())


def test_a_rejection_in_the_middle_leaves_what_was_accepted(desk, suite, slurm, ids):
    slurm.fault(
        "sbatch", f'[ $(cat "$truth/last") -lt 101 ] && {TRUE} || {{ echo "sbatch: error: no such QOS" >&2; exit 1; }}'
    )
    answer = run(desk, suite)
    assert answer.status == 2 and "no such QOS" in answer.error and "what was submitted before stays" in answer.error
    assert ids() == {"101"}
    slurm.fault("sbatch")
    assert run(desk, suite).status == 0 and "101" in ids()
    assert "0 submitted" in run(desk, suite).out


@pytest.fixture
def in_job(monkeypatch):
    """This process is the first one of the SLURM job that waits."""
    for name, value in {"SLURM_JOB_ID": WAITS, "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_second_job_for_the_same_work_sees_the_first_and_ends(desk, slurm, folders, in_job, impatient, fault):
    """Whatever squeue first answers to it, a payload leaves the lease to the job that runs."""
    slurm.fault("squeue", FAULTS[fault], once=True)
    before = holder(folders["knn"])
    found = own_job([folders["knn"]])
    with pytest.raises(LeaseTaken, match="already running or queued"):
        acquire(folders["knn"], found.holder, found.snapshot)
    assert holder(folders["knn"]) == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_warned_job_asks_for_its_next_slice_whatever_scontrol_says_first(
    desk, slurm, folders, in_job, impatient, fault
):
    slurm.know({WAITS: "RUNNING"}, {}, {WAITS: "RUNNING"})
    slurm.fault("scontrol", FAULTS[fault], once=True)
    with pytest.raises(SystemExit):
        Payload([folders["linear_probe"]], desk.store, Site(device="cpu")).checkpoint()
    assert slurm.calls("scontrol")[-1] == f"requeue {WAITS}"
    assert '"cause": "time limit"' in (folders["linear_probe"] / "attempts.jsonl").read_text()


def test_a_job_that_gets_no_answer_for_long_says_so(slurm, folders, in_job, monkeypatch):
    monkeypatch.setattr(queue, "PATIENCE", 0.05)
    slurm.fault("squeue", FAULTS["is empty"])
    with pytest.raises(SchedulerSilent, match=r"squeue: its answer cannot be read: it does not list job 8, which asks"):
        own_job([folders["knn"]])
