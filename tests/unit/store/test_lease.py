"""Leases of scheduler jobs: told by id and queue snapshot, in today's words and in those of older code."""

import errno
import hashlib
import os
import pwd
import re
import socket
import time
from pathlib import Path

import pytest

from caebench.files.atomic import read_json, write_json
from caebench.files.layout import HEARTBEAT, LEASE
from caebench.store import judging
from caebench.store import lease as lease_module
from caebench.store.holders import HolderId, holder_id, process_start, user_name
from caebench.store.judging import is_live, judge
from caebench.store.lease import (
    LeaseLost,
    LeaseTaken,
    acquire,
    hand_over,
    is_held,
    mark_cancelled,
    release,
    require_held,
    take_over,
    wait_again,
)
from caebench.store.queue import QueuedJob, QueueSnapshot
from caebench.store.state import attempts

SEVEN = HolderId("slurm", "7")
RUNS = QueuedJob("running", "", 60.0, None, "n1")


def snapshot(*ids, name="slurm", age=0.0, **facts):
    return QueueSnapshot(name, name.upper(), time.time() - age, {one: RUNS._replace(**facts) for one in ids})


@pytest.fixture
def lease(tmp_path):
    """Of SLURM's job 7, an hour old."""
    hand_over(tmp_path, SEVEN)
    os.utime(tmp_path / LEASE, (time.time() - 3600,) * 2)
    return tmp_path / LEASE


def test_a_lease_names_its_scheduler_and_its_id_there(lease):
    content = read_json(lease)
    assert (content["scheduler"], content["scheduler_id"]) == SEVEN == holder_id(lease.parent)
    acquire(lease.parent, SEVEN)  # its own, after a requeue
    with pytest.raises(LeaseTaken):
        acquire(lease.parent, HolderId("other", "7"))


def test_a_lease_lives_while_its_id_is_in_its_own_schedulers_queue(lease):
    assert is_live(lease) and is_live(lease, snapshot("7")) and not is_live(lease, snapshot("8"))
    assert not is_live(lease, snapshot("7", can_never_start=True)), "what can never start holds nothing"
    assert is_live(lease, snapshot("8", name="other")), "another scheduler has no word on it"
    assert is_live(lease, snapshot("8", age=7200)), "it is newer than the snapshot"
    mark_cancelled(lease.parent, SEVEN)
    assert not is_live(lease, snapshot("8", age=7200)), "but was cancelled"


def test_a_stale_lease_is_taken_over(lease):
    with pytest.raises(LeaseTaken):
        acquire(lease.parent, snapshot=snapshot("7"), purpose="submit")
    acquire(lease.parent, snapshot=snapshot(), purpose="submit")
    assert holder_id(lease.parent) is None and read_json(lease)["purpose"] == "submit"
    assert os.listdir(lease.parent) == [LEASE]
    acquire(lease.parent, SEVEN)  # which started before its submitter could write its id
    assert holder_id(lease.parent) == SEVEN


@pytest.fixture
def older(tmp_path):
    """A lease and attempts as they were written before leases named a scheduler."""
    content = {"purpose": "run", "host": "login", "pid": 1, "started": "1", "slurm": "7", "time": "then"}
    content["user"] = user_name()
    write_json(tmp_path / LEASE, content)
    os.utime(tmp_path / LEASE, (time.time() - 3600,) * 2)
    (tmp_path / "attempts.jsonl").write_text(
        '{"host": "n1", "pid": 2, "begins": "then", "slurm": "7", "restart": null, "processes": 8}\n'
        '{"host": "n1", "pid": 3, "begins": "later", "slurm": null, "restart": null, "processes": 1}\n'
    )
    return tmp_path


def test_what_older_code_wrote_is_read(older):
    assert holder_id(older) == SEVEN
    assert [HolderId.of(attempt) for attempt in attempts(older)] == [SEVEN, None]
    assert is_live(older / LEASE, snapshot("7")) and not is_live(older / LEASE, snapshot("8"))
    mark_cancelled(older, SEVEN)
    content = read_json(older / LEASE)
    assert content["slurm"] == "7" and "cancelled" in content, "older code may still run, and finds its lease by this"


def test_an_older_lease_of_a_process_is_a_processs(tmp_path):
    write_json(
        tmp_path / LEASE,
        {"purpose": "submit", "host": os.uname().nodename, "pid": 2**22 - 1, "slurm": None} | {"started": "1"},
    )
    assert holder_id(tmp_path) is None and not is_live(tmp_path / LEASE)


def test_a_lease_that_was_renewed_while_it_was_judged_is_never_replaced(lease):
    class Overtaken(QueueSnapshot):
        """While it is asked about the stale lease, another process takes that lease over."""

        def can_run(self, job_id):
            if holder_id(lease.parent) == SEVEN:
                acquire(lease.parent, snapshot=snapshot())
            return False

    with pytest.raises(LeaseTaken):
        acquire(lease.parent, HolderId("slurm", "8"), Overtaken("slurm", "SLURM", time.time()))
    assert read_json(lease)["pid"] == os.getpid() and holder_id(lease.parent) is None, "the other process's"
    assert os.listdir(lease.parent) == [LEASE]


def test_a_claim_that_a_killed_process_left_is_taken_over_too(tmp_path):
    dead = {"host": socket.gethostname(), "pid": os.getpid(), "started": "1"}
    write_json(tmp_path / LEASE, dead)
    digest = hashlib.sha256((tmp_path / LEASE).read_bytes()).hexdigest()[:8]
    write_json(tmp_path / f"{LEASE}.{digest}", {**dead, "purpose": "submit"})
    acquire(tmp_path)
    assert read_json(tmp_path / LEASE)["started"] == process_start(os.getpid())
    assert os.listdir(tmp_path) == [LEASE]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_claim_that_is_gone_when_it_is_looked_at(lease, monkeypatch, replaced):
    """Another process held it, and has given it back, with or without taking the lease.

    It must be made anew, exclusively: whoever wrote over it would write over that of a third process.
    """
    create_json, refused, written = lease_module.create_json, [], []

    def create(path, content):
        if path.name == LEASE or refused:
            return create_json(path, content)
        refused.append(path)
        if replaced:
            write_json(lease, {**read_json(lease), "scheduler_id": "8"})
        return False

    def write(path, content):
        written.append(path)
        write_json(path, content)

    monkeypatch.setattr(lease_module, "create_json", create)
    monkeypatch.setattr(lease_module, "write_json", write)
    if replaced:
        with pytest.raises(LeaseTaken):
            acquire(lease.parent, snapshot=snapshot())
    else:
        acquire(lease.parent, snapshot=snapshot())
    assert holder_id(lease.parent) == (HolderId("slurm", "8") if replaced else None)
    assert len(refused) == 1 and written == ([] if replaced else [lease])
    assert os.listdir(lease.parent) == [LEASE]


def test_a_file_system_without_hard_links_serves_too(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    acquire(tmp_path)
    with pytest.raises(LeaseTaken):
        acquire(tmp_path)
    assert os.listdir(tmp_path) == [LEASE]


def test_a_full_disk_without_hard_links_leaves_no_half_written_lease(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(errno.EPERM, "no links here")

    usual = Path.open
    monkeypatch.setattr(os, "link", no_links)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, *a, **b: Full(path) if "xb" in a else usual(path, *a, **b))
        with pytest.raises(OSError, match="no space left"):
            acquire(tmp_path)
    assert os.listdir(tmp_path) == []
    acquire(tmp_path)


class Full:
    """A new file on a full disk."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_CREAT | os.O_EXCL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def write(self, content):
        raise OSError(errno.ENOSPC, "no space left")


NOBODYS = ("", '{"host": ', "[]", "{}", '{"host": "n1", "pid": 7}', "\0" * 300, "\udcff")


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.parametrize("text", NOBODYS)
def test_an_unreadable_lease_is_being_written_for_ten_seconds(tmp_path, text):
    path = tmp_path / LEASE
    path.write_bytes(text.encode(errors="surrogateescape"))
    aged(path, 9)
    with pytest.raises(LeaseTaken, match=f"{LEASE}: {LEASE} cannot be read, and is 9 s old") as taken:
        acquire(tmp_path)
    assert taken.value.holding.state == "unknown" and holder_id(tmp_path) is None
    aged(path, 11)
    acquire(tmp_path)
    assert read_json(path)["pid"] == os.getpid() and os.listdir(tmp_path) == [LEASE]


def test_an_unreadable_claim_is_given_up_too(tmp_path):
    aged_lease = {"host": socket.gethostname(), "pid": os.getpid(), "started": "1"}
    write_json(tmp_path / LEASE, aged_lease)
    claim = tmp_path / f"{LEASE}.{hashlib.sha256((tmp_path / LEASE).read_bytes()).hexdigest()[:8]}"
    claim.touch()
    with pytest.raises(LeaseTaken, match="cannot be read"):
        acquire(tmp_path)
    aged(claim, 11)
    acquire(tmp_path)
    assert os.listdir(tmp_path) == [LEASE]


@pytest.mark.parametrize(
    ("purpose", "grace", "words"),
    [("submit", 600, "in 1 s"), ("claim", 60, "in 1 s")],
)
def test_on_another_machine_a_submitter_has_ten_minutes_and_a_claim_one(tmp_path, purpose, grace, words):
    path = tmp_path / LEASE
    write_json(path, {"purpose": purpose, "host": "elsewhere", "pid": 1, "started": "1", "user": "ann", "time": "noon"})
    aged(path, grace - 1)
    with pytest.raises(LeaseTaken, match=f"ann since noon \\(process 1 on elsewhere\\).*{words}"):
        acquire(tmp_path)
    aged(path, grace + 1)
    acquire(tmp_path)


def test_a_user_without_a_name_is_a_number(tmp_path, monkeypatch):
    def nobody(uid):
        raise KeyError(f"uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    acquire(tmp_path)
    assert read_json(tmp_path / LEASE)["user"] == str(os.getuid())


# ---- another user's job, which the queue may not show ---------------------------------------------------------------

ANNS = {"purpose": "run", "host": "n7", "pid": 1, "started": "1", "user": "ann", "time": "noon"}
JOB = {"scheduler": "slurm", "scheduler_id": "7"}
RUNNING = {"stale_after": 900.0}


@pytest.fixture
def anns(tmp_path):
    """Write Ann's lease, and her heartbeat: seconds ago."""

    def write(age, beat=None, **more):
        write_json(tmp_path / LEASE, {**ANNS, **more})
        aged(tmp_path / LEASE, age)
        (tmp_path / HEARTBEAT).unlink(missing_ok=True)
        if beat is not None:
            (tmp_path / HEARTBEAT).touch()
            aged(tmp_path / HEARTBEAT, beat)
        return tmp_path

    return write


@pytest.mark.parametrize("place", [JOB, {}], ids=["hidden job", "other machine"])
@pytest.mark.parametrize(
    ("age", "beat", "lives"),
    [(9000, 890, True), (9000, 910, False), (890, None, True), (910, None, False), (890, 9000, True)],
)
def test_a_running_job_lives_by_its_heartbeat_where_it_cannot_be_seen(anns, place, age, beat, lives):
    """A heartbeat that is older than the lease is another holder's."""
    folder = anns(age, beat, **RUNNING, **place)
    assert is_live(folder / LEASE, snapshot()) == lives
    if lives:
        with pytest.raises(LeaseTaken, match=r"ann since noon .* with its last heartbeat 890 s ago"):
            acquire(folder, snapshot=snapshot())
        assert take_over(folder, snapshot()) is None, "it lives"
    else:
        acquire(folder, snapshot=snapshot())
        assert is_held(folder)


def test_another_users_queued_job_never_gets_stale(anns):
    folder = anns(1e9, **JOB)
    with pytest.raises(LeaseTaken, match=r"queued by ann since noon \(slurm job 7\).*--take-over") as taken:
        acquire(folder, snapshot=snapshot(), purpose="submit")
    assert taken.value.holding.state == "assumed"
    assert take_over(folder, snapshot("7")) is None, "the queue shows it"
    words = take_over(folder, snapshot())
    assert words is not None and words.startswith("queued by ann since noon")
    assert os.listdir(folder) == [], "nobody has it now"


def test_ones_own_job_that_left_the_queue_is_gone(anns):
    assert not is_live(anns(3600, 60, **RUNNING, **JOB, user=user_name()) / LEASE, snapshot())
    assert not is_live(anns(3600, **JOB, user=user_name()) / LEASE, snapshot())
    assert is_live(anns(3600, 60, **RUNNING, **JOB, user=user_name()) / LEASE, snapshot(age=70)), "a heartbeat since"


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_ages_are_by_the_file_servers_clock(anns, monkeypatch, skew):
    """Its clock is an hour behind or ahead of this machine's."""
    monkeypatch.setattr(lease_module, "server_time", lambda folder: time.time() + skew)
    with pytest.raises(LeaseTaken):
        acquire(anns(9000 - skew, 890 - skew, **RUNNING))
    acquire(anns(9000 - skew, 910 - skew, **RUNNING))
    with pytest.raises(LeaseTaken, match="submitted 3 s ago, when the queue was asked"):
        acquire(anns(3 - skew, **JOB, user=user_name()), snapshot=snapshot())
    acquire(anns(30 - skew, **JOB, user=user_name()), snapshot=snapshot())


def test_a_lease_from_the_future_is_refused_with_the_reason(anns):
    with pytest.raises(LeaseTaken, match=r"ann since noon .* is 3600 s ahead of the file server's clock") as taken:
        acquire(anns(-3600.5, **JOB), snapshot=snapshot())
    assert taken.value.holding.state == "unknown"


@pytest.mark.parametrize(("user", "lives"), [("ann", True), (user_name(), False)])
def test_another_users_process_may_be_hidden_on_this_machine(anns, monkeypatch, user, lives):
    monkeypatch.setattr(judging, "process_start", lambda pid: "hidden" if pid == 1 else "2")
    assert is_live(anns(60, **RUNNING, host=socket.gethostname(), user=user) / LEASE) == lives


def test_a_process_that_may_not_be_looked_at_is_hidden(monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EPERM, "not yours")

    monkeypatch.setattr(os, "kill", denied)
    assert process_start(2**22 - 1) == "hidden"


# ---- a holder that has lost its lease -------------------------------------------------------------------------------


def test_who_has_lost_a_lease_leaves_the_new_holders(anns):
    folder = anns(60, 30, **RUNNING)
    assert not is_held(folder)
    release(folder)
    wait_again(folder, SEVEN)
    assert read_json(folder / LEASE) == {**ANNS, **RUNNING} and (folder / HEARTBEAT).exists()
    with pytest.raises(LeaseLost, match=re.escape("lost its lease (ann since noon (process 1 on n7) has it)")):
        require_held(folder)
    (folder / LEASE).unlink()
    with pytest.raises(LeaseLost, match="it is gone"):
        require_held(folder)


def test_a_scheduler_job_holds_what_its_submitter_hands_over_late(anns):
    """The job has begun; then its submitter writes its id, and the job is requeued."""
    folder = anns(60, **JOB)  # the submitter's process is not ours
    assert is_held(folder, SEVEN) and not is_held(folder, HolderId("slurm", "8")) and not is_held(folder)
    acquire(folder, SEVEN, stale_after=900.0)
    hand_over(folder, SEVEN, "pack")
    assert read_json(folder / LEASE)["stale_after"] == 900.0, "it has begun, and keeps its own"
    (folder / HEARTBEAT).touch()
    wait_again(folder, SEVEN)
    assert read_json(folder / LEASE)["stale_after"] is None and os.listdir(folder) == [LEASE]
    folder = anns(60, **JOB, **RUNNING)
    assert not is_held(folder, SEVEN), "another process of that job has begun since"


def test_a_holder_is_told_in_words(anns):
    folder = anns(60, **JOB)
    assert judge(folder / LEASE).words.startswith("queued by ann since noon (slurm job 7), which cannot be checked")
    assert judge(folder / LEASE, snapshot("7")).words == "already running or queued: ann since noon (slurm job 7)"
    acquire(folder, SEVEN)
    (folder / LEASE).unlink()
    acquire(folder)
    own = f"{user_name()} since {read_json(folder / LEASE)['time']} (process {os.getpid()} on {socket.gethostname()})"
    assert judge(folder / LEASE) == ("checked", f"already running: {own}")
    assert judge(folder / "none") == ("stale", "nobody has it")
