"""`caebench logs`, `cancel`, `retry`: flags that do not apply, and what they say where SLURM does not answer."""

import os
import time
from types import SimpleNamespace

import pytest

from caebench.cli import follow, status
from caebench.files.atomic import write_json
from caebench.planning.graph import make_plan
from caebench.store.holders import user_name
from caebench.store.lease import acquire, release
from caebench.store.store import Store
from caebench.suites import loading as suites


@pytest.fixture
def job(desk, tiny):
    """A job that is prepared and has not run."""
    found = make_plan(suites.load("quickstart"), tiny, [0]).jobs[-1]
    for one in (*found.ancestors(), found):
        Store(desk.store).prepare(one)
    return found


@pytest.mark.parametrize(
    ("verb", "flags"),
    [
        *((verb, ("--scale", "paper")) for verb in ("retry", "cancel", "status", "why")),
        *((verb, ("--seeds", "0")) for verb in ("retry", "cancel", "status")),
    ],
)
def test_a_jobs_id_takes_no_scale_and_no_seeds(desk, job, verb, flags):
    answer = desk(verb, job.id, *flags)
    assert (answer.status, answer.error) == (
        2,
        f"error: {' '.join(flags)}: '{job.id}' is a job's id, which fixes its scale and seed. Leave it out.\n",
    )


def test_changes_are_submitted_to_a_scheduler_only(desk, job):
    (Store(desk.store).folder(job) / "failure.json").write_text('{"error": "ValueError: no"}', encoding="utf8")
    answer = desk("retry", job.id, "--dirty")
    assert answer.status == 2 and answer.error.startswith("error: --dirty: site 'local' runs jobs on this machine")


@pytest.fixture
def submitted(desk, job, fake_slurm):
    """The folder of a job that is SLURM's job 7."""
    folder = Store(desk.store).folder(job)
    lease = {"scheduler": "slurm", "scheduler_id": "7", "user": user_name(), "purpose": "run", "host": "", "pid": 1}
    write_json(folder / "submission.json", lease)
    os.utime(folder / "submission.json", (time.time() - 3600,) * 2)
    fake_slurm.put(sacct="", scontrol="")
    return folder


def happen(monkeypatch, module, *steps, seconds=10.0):
    """In each pause of a verb, the next thing happens and time goes on; after the last one it must have ended."""
    left, passed = iter(steps), []

    def sleep(_):
        passed.append(seconds)
        next(left)()

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: sum(passed)))


def nothing():
    pass


RUNS = 'echo "7|RUNNING|None|0:01|1:00|n1"'
WAITS = 'echo "7|PENDING|Priority|0:00|1:00|"'
SILENT = "squeue: squeue: error: Unable to contact slurm controller. Run on a machine that can reach the cluster."


def test_watching_outlives_a_controller_that_does_not_answer(desk, submitted, fake_slurm, monkeypatch):
    fake_slurm.put_failing("squeue", 2, RUNS)
    happen(
        monkeypatch, status, lambda: None, lambda: None, lambda: write_json(submitted / "result.json", {"metrics": {}})
    )
    answer = desk("status", submitted.name.rpartition("-")[2], "--watch", "--site", "cluster")
    assert (answer.status, answer.out) == (0, f"{SILENT} Asking again.\n1 running\n1 done\n")


def test_following_a_log_outlives_a_controller_that_does_not_answer(desk, submitted, fake_slurm, monkeypatch):
    fake_slurm.put_failing("squeue", 2, f"[ -e {submitted}/result.json ] || {RUNS}")
    log = desk.store / "slurm" / "7_0_log.out"
    log.parent.mkdir()
    log.write_text("first\n")
    more, end = lambda: log.write_text("first\nsecond\n"), lambda: write_json(submitted / "result.json", {})
    happen(monkeypatch, follow, nothing, more, end)
    answer = desk("logs", submitted.name.rpartition("-")[2], "-f", "--site", "cluster")
    assert (answer.status, answer.out) == (0, "first\nsecond\n")
    assert answer.error == f"{SILENT} Asking again.\n"


def test_following_waits_for_a_job_that_is_queued(desk, submitted, fake_slurm, monkeypatch):
    fake_slurm.put(squeue=WAITS)
    log = desk.store / "slurm" / "7_0_log.err"
    log.parent.mkdir()

    def start():
        fake_slurm.put(squeue=RUNS)
        log.write_bytes("begin\nepoch 1: größe".encode()[:-2])

    def end():
        log.write_bytes("begin\nepoch 1: größe\n".encode())
        fake_slurm.put(squeue="")

    happen(monkeypatch, follow, nothing, start, end)
    answer = desk("logs", submitted.name.rpartition("-")[2], "-f", "--site", "cluster")
    assert (answer.status, answer.out) == (0, "begin\nepoch 1: größe\n")
    assert answer.error == "waiting: SLURM job 7 is pending (Priority)\n"


def test_following_asks_the_queue_every_ten_seconds_and_sees_the_end_at_once(desk, submitted, fake_slurm, monkeypatch):
    fake_slurm.put(squeue=RUNS)
    log = desk.store / "slurm" / "7_0_log.err"
    log.parent.mkdir()
    log.write_text("")

    def write():
        with log.open("a") as file:
            file.write("line\n")

    def end():
        write()
        write_json(submitted / "result.json", {})

    happen(monkeypatch, follow, *[write] * 24, end, seconds=1.0)
    answer = desk("logs", submitted.name.rpartition("-")[2], "-f", "--site", "cluster")
    assert (answer.status, answer.out) == (0, "line\n" * 25)
    assert len(fake_slurm.calls("squeue")) == 3, "at 0, 10 and 20 s"


def test_following_goes_on_with_a_job_that_is_submitted_again(desk, submitted, fake_slurm, monkeypatch):
    """Within the seconds in which the queue is not asked, the lease names a job that was not in it."""
    fake_slurm.put(squeue=RUNS)
    (desk.store / "slurm").mkdir()
    (desk.store / "slurm" / "7_0_log.err").write_text("first\n")

    def submit_again():
        fake_slurm.put(squeue=RUNS.replace("7|", "8|"))
        write_json(submitted / "submission.json", {"scheduler": "slurm", "scheduler_id": "8", "user": user_name()})
        os.utime(submitted / "submission.json", (time.time() - 3600,) * 2)

    def end():
        (desk.store / "slurm" / "8_0_log.err").write_text("second\n")
        write_json(submitted / "result.json", {})

    happen(monkeypatch, follow, submit_again, nothing, end, seconds=1.0)
    answer = desk("logs", submitted.name.rpartition("-")[2], "-f", "--site", "cluster")
    assert (answer.status, answer.out) == (0, "first\nsecond\n")


def test_following_waits_for_a_job_that_is_held(desk, submitted, fake_slurm, monkeypatch):
    fake_slurm.put(squeue='echo "7|PENDING|JobHeldUser|0:00|1:00|"')
    log = desk.store / "slurm" / "7_0_log.err"
    log.parent.mkdir()

    def end():
        log.write_text("ran\n")
        write_json(submitted / "result.json", {})

    happen(monkeypatch, follow, nothing, end)
    answer = desk("logs", submitted.name.rpartition("-")[2], "-f", "--site", "cluster")
    assert (answer.status, answer.out) == (0, "ran\n")
    assert answer.error == "waiting: SLURM job 7 is pending (JobHeldUser)\n"


def test_cancelling_without_squeue_says_that_it_cannot_know(desk, submitted, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    answer = desk("cancel", submitted.name.rpartition("-")[2], "--yes", "--site", "cluster")
    assert (answer.status, answer.out) == (2, "")
    name = f"{submitted.parent.name}/{submitted.name}"
    assert answer.error.startswith(f"error: {name}: was submitted as SLURM job 7, and this machine has no SLURM to ask")


def test_a_log_is_printed_as_text_whatever_a_job_wrote(desk, submitted, fake_slurm):
    path = desk.store / "slurm" / "7_0_log.err"
    path.parent.mkdir()
    path.write_bytes(b"10%\r20%\r\n\x1b[31mred\x1b[0m \x07\xff \xe2\x80\xae\x00\n")
    answer = desk("logs", submitted.name.rpartition("-")[2], "--site", "cluster")
    assert answer.out == "10%\n20%\n\\x1b[31mred\\x1b[0m \\x07\ufffd \\u202e\\x00\n" and answer.status == 0


def test_the_log_of_a_job_that_never_began_is_printed(desk, submitted, fake_slurm):
    path = desk.store / "slurm" / "7_0_log.err"
    path.parent.mkdir()
    path.write_text("python3.99: command not found\n")
    job_id = submitted.name.rpartition("-")[2]
    answer = desk("logs", job_id, "--site", "cluster")
    assert (answer.status, answer.out) == (0, "python3.99: command not found\n")
    fake_slurm.put(squeue="", sacct="echo '7|FAILED'")
    shown = desk("status", job_id, "--site", "cluster").out
    assert "python3.99: command not found" in shown
    assert (
        f"The whole log of {submitted.parent.name}/{submitted.name}: caebench logs {job_id} --site cluster\n" in shown
    )


def test_hints_are_commands_with_their_options(desk, job):
    store = Store(desk.store)
    parent = job.ancestors()[0]
    (store.folder(parent) / "failure.json").write_text('{"error": "ValueError: no"}', encoding="utf8")
    answer = desk("retry", job.id, "--site", "cluster", "--store", str(desk.store))
    assert answer.error == (
        f"error: {job.name}: blocked by {parent.name}. Retry that job, and its dependents with it: "
        f"caebench retry {parent.id} --site cluster --store {desk.store}\n"
    )
    answer = desk("logs", "ffffffffff")
    assert answer.error.endswith(f"no job has this id. List them with `caebench status --all --store {desk.store}`.\n")


def test_a_job_of_a_local_process_is_not_called_absent_from_the_queue(desk, job):
    folder = Store(desk.store).folder(job)
    acquire(folder)
    answer = desk("cancel", job.id, "--yes")
    assert (answer.status, answer.out) == (2, "")
    assert f"{job.name}: runs in process {os.getpid()} on " in answer.error and f"`kill {os.getpid()}`" in answer.error
    release(folder)
    assert desk("cancel", job.id, "--yes").out == f"{job.id}: no job of it is in the queue\n"


def test_a_damaged_lease_is_no_process_to_stop_by_hand(desk, job):
    (Store(desk.store).folder(job) / "submission.json").write_text("{}")
    status, out, error = desk("cancel", job.id)
    assert (status, error) == (0, "") and out.startswith(f"{job.id}: no job of it is in the queue\n")
    assert "submission.json cannot be read, and is 0 s old" in out
