"""What SLURM knows about jobs: one call of squeue, one of sacct, and one of scontrol where those two leave a doubt.

Every call has a time limit. Inside a job it is repeated for minutes, because a silent controller must not end a chain.
"""

import getpass
import logging
import os
import shutil
import subprocess  # nosec B404 # lists of arguments, never a shell
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from caebench.execution.schedulers.base import SchedulerSilent
from caebench.execution.schedulers.slurm.answers import (
    ENDS,
    FINAL,
    Facts,
    Unreadable,
    queued_from,
    read_accounting,
    read_jobs,
    read_queue,
    whole_lines,
)
from caebench.store.queue import QueuedJob, QueueSnapshot

NAME = "slurm"  # the section of a site file, the folder in a store, the scheduler in a lease
TITLE = "SLURM"
FORMAT = "%i|%T|%r|%M|%l|%N"
SQUEUE = ("squeue", "--noheader", "--array", "--all", "--format", FORMAT)
FILTERS = ("SQUEUE_", "SACCT_", "SINFO_")  # a user's variables, such as SQUEUE_STATES, which would hide jobs
WHOLE = {"SLURM_BITSTR_LEN": "0"}  # lists of array tasks are not cut
CALL_LIMIT = 60.0  # seconds for an answer
SCRIPT = "%F|%o"  # of a queued job: its id, or its array's, and the path of its script
PATIENCE = 600.0  # seconds in which a job asks again
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds between two calls of a job; each pause is twice the one before
Answer = TypeVar("Answer")
log = logging.getLogger("caebench")


def ask(command: list[str], patience: float = 0.0) -> str:
    """The output of one of SLURM's commands, asked again for some seconds if there is no answer.

    Raises:
        SchedulerSilent: it does not answer within its time, or with an error.
        ValueError: it is not installed.
    """
    return ask_for(command, str, patience)


def ask_for(command: list[str], read: Callable[[str], Answer], patience: float = 0.0) -> Answer:
    """The same, with the output as `read` understands it; one that it cannot read is no answer.

    Raises:
        SchedulerSilent: there is no answer.
        ValueError: the command is not installed.
    """
    end, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        try:
            return _ask_once(command, read)
        except SchedulerSilent as error:
            if time.monotonic() + pause > end:
                raise
            log.warning("%s Asking again in %.0f s.", error, pause)
            time.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)


def _ask_once(command: list[str], read: Callable[[str], Answer]) -> Answer:
    name, advice = command[0], "Run on a machine that can reach the cluster."
    try:
        return read(call(command, **WHOLE).stdout)
    except subprocess.TimeoutExpired as error:
        raise SchedulerSilent(f"{name}: no answer within {CALL_LIMIT:g} s. {advice}") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split()).rstrip(".") or str(error).rstrip(".")
        raise SchedulerSilent(f"{name}: {said}. {advice}") from error
    except Unreadable as error:
        raise SchedulerSilent(f"{name}: its answer cannot be read: {error}. Run the command again.") from error


def call(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """One call of a SLURM command, with more of an environment. What is not UTF-8 in its output is replaced.

    Raises:
        TimeoutExpired: it does not end in time.
        CalledProcessError: it ends with an error.
        ValueError: it is not installed.
    """
    kept = {known: value for known, value in os.environ.items() if not known.startswith(FILTERS)}
    try:
        return subprocess.run(  # nosec B603 # SLURM's commands with ids and names as arguments, without a shell
            command,
            env={**kept, **more},
            capture_output=True,
            encoding="utf8",
            errors="replace",
            check=True,
            timeout=CALL_LIMIT,
        )
    except OSError as error:
        advice = "Run on a machine that can reach the cluster."
        raise ValueError(f"{command[0]}: not installed on this machine ({error}). {advice}") from error


def is_installed() -> bool:
    """Whether this machine can ask SLURM."""
    return shutil.which("squeue") is not None


def queued_jobs(users: Iterable[str] = ()) -> dict[str, QueuedJob]:
    """Every pending or running job of some users, by id (`12`, `12_3`); of all users if none are given.

    Raises:
        SchedulerSilent: squeue does not answer.
    """
    named = ",".join(sorted(set(users)))
    return ask_for([*SQUEUE, *(["--user", named] if named else [])], read_queue)


def query(users: Collection[str], job_ids: Collection[str]) -> QueueSnapshot:
    """The queued jobs of some users, and how those of some jobs ended that are not in the queue.

    Raises:
        SchedulerSilent: a command does not answer.
    """
    asked_at, queued = time.time(), queued_jobs(users)
    return complete(QueueSnapshot(NAME, TITLE, asked_at, queued), job_ids)


def snapshot_now() -> QueueSnapshot:
    """The complete queue, of all users.

    Raises:
        SchedulerSilent: squeue does not answer.
    """
    return QueueSnapshot(NAME, TITLE, time.time(), queued_jobs())


def complete(snapshot: QueueSnapshot, job_ids: Iterable[str], patience: float = 0.0) -> QueueSnapshot:
    """A snapshot with the ends of some jobs that are not in it, and with those of them that have not ended.

    A job is not gone because squeue alone does not list it: accounting or slurmctld must agree.

    Raises:
        SchedulerSilent: squeue does not list a job, accounting has no end of it, and slurmctld does not answer.
    """
    absent = {job_id for job_id in job_ids if job_id not in snapshot.jobs}
    words = _accounted(absent)
    unsure = {job_id for job_id in absent if words.get(job_id) not in FINAL}
    known: Mapping[str, Facts] = _remembered(patience) if unsure else {}
    words |= {job_id: known[job_id]["JobState"] for job_id in unsure & known.keys()}
    ends = {job_id: ENDS[word] for job_id, word in words.items() if word in ENDS and job_id not in snapshot.jobs}
    live = {job_id: found for job_id in unsure & known.keys() if (found := queued_from(known[job_id]))}
    if live:
        _warn_once(f"squeue: does not list {_some(live)}, and scontrol does. It is taken to be in the queue.")
    return replace(snapshot, jobs={**snapshot.jobs, **live}, ends={**snapshot.ends, **ends})


def _some(job_ids: Iterable[str]) -> str:
    """`job 7`, or `job 7 and 2 more`."""
    first, *rest = sorted(job_ids)
    return f"job {first}" + (f" and {len(rest)} more" if rest else "")


@cache
def _warn_once(words: str) -> None:
    log.warning("%s", words)


def submitted_as(script: Path) -> str | None:
    """The id of the queued job, or array, of this user that was submitted with a script; None: none is queued.

    Raises:
        SchedulerSilent: squeue does not answer.
    """

    def read(printed: str) -> str | None:
        lines = [line.partition("|") for line in whole_lines(printed)]
        return next((job_id for job_id, _, path in lines if path == str(script) and job_id.isdecimal()), None)

    return ask_for(["squeue", "--noheader", "--all", "--user", getpass.getuser(), "--format", SCRIPT], read)


def queued_among(job_ids: Iterable[str], own_id: str) -> dict[str, QueuedJob]:
    """Those of some jobs that are pending or running, asked from inside one of them, which every answer must list.

    Raises:
        SchedulerSilent: squeue does not answer for minutes.
    """
    wanted = {own_id, *job_ids}

    def read(printed: str) -> dict[str, QueuedJob]:
        if own_id not in (found := read_queue(printed)):
            raise Unreadable(f"it does not list job {own_id}, which asks")
        return found

    return ask_for([*SQUEUE, "--jobs", ",".join(sorted(wanted))], read, PATIENCE)


def cause(job_id: str, warned: bool) -> str:
    """Why SLURM stops a running job, asked from inside: `preemption`, `scancel`, or else `time limit` if it was warned.

    Raises:
        SchedulerSilent: scontrol does not answer for minutes.
    """

    def read(printed: str) -> Facts:
        if job_id not in (found := read_jobs(printed)):
            raise Unreadable(f"it does not name job {job_id}, which asks")
        return found[job_id]

    facts = ask_for(["scontrol", "--oneliner", "show", "job", job_id], read, PATIENCE)
    if facts["JobState"] == "CANCELLED":
        return "scancel"
    if facts.get("PreemptTime", "None") not in ("None", "Unknown"):
        return "preemption"  # in its grace time; afterwards SLURM itself requeues only jobs that still run
    return "time limit" if warned else "a signal"


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs; SLURM does not requeue them.

    Raises:
        SchedulerSilent: scancel does not answer.
    """
    ask(["scancel", *job_ids])


def requeue(job_id: str) -> None:
    """Requeue this process's own job under its id. The request may itself end by the signal that SLURM sends for it.

    Raises:
        SchedulerSilent: SLURM rejects it, or does not answer for minutes.
    """
    ask(["scontrol", "requeue", job_id], PATIENCE)


def _accounted(job_ids: Iterable[str]) -> dict[str, str]:
    """SLURM's states of jobs (TIMEOUT, NODE_FAIL, CANCELLED ...) from accounting, which may not exist or answer."""
    wanted = ",".join(sorted({job_id.split("_")[0] for job_id in job_ids}))
    if not wanted or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "--noheader", "--parsable2", "--format", "JobID,State", "--jobs", wanted]
    try:
        return ask_for(command, read_accounting)
    except SchedulerSilent:
        return {}


def _remembered(patience: float) -> Mapping[str, Facts]:
    """The queue as scontrol has it, with the jobs that ended in the last minutes."""
    if shutil.which("scontrol") is None:
        return {}
    return ask_for(["scontrol", "--oneliner", "show", "jobs"], read_jobs, patience)
