"""What SLURM knows about jobs: one call of squeue, one of sacct. Only this module knows SLURM's state names.

Every call has a time limit. Inside a job it is repeated for minutes, because a silent controller must not end a chain.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping

from caebench.execution.schedulers.base import SchedulerSilent
from caebench.store.queue import Ending, QueuedJob, QueueSnapshot

NAME = "slurm"  # the section of a site file, the folder in a store, the scheduler in a lease
TITLE = "SLURM"
RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
SUSPENDED = ("SUSPENDED", "STOPPED")
HELD, HELD_REASON = ("REQUEUE_HOLD", "SPECIAL_EXIT"), "JobHeld"  # states, and how reasons for a pending job begin
OUT_OF_MEMORY = "OUT_OF_MEMORY"
NEVER = "DependencyNeverSatisfied"
FORMAT = "%i|%T|%r|%M|%l|%N"
SQUEUE = ("squeue", "--noheader", "--array", "--all", "--format", FORMAT)
FILTERS = ("SQUEUE_", "SACCT_", "SINFO_")  # a user's variables, such as SQUEUE_STATES, which would hide jobs
CALL_LIMIT = 60.0  # seconds for an answer
PATIENCE = 600.0  # seconds in which a job asks again
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds between two calls of a job; each pause is twice the one before
ENDS = {  # SLURM's state of an ended job -> ours
    "CANCELLED": Ending("cancelled"),
    "TIMEOUT": Ending("stopped", "its time was up"),
    "PREEMPTED": Ending("stopped", "preempted, and not requeued"),
    "NODE_FAIL": Ending("stopped", "its node failed, and it was not requeued"),
    OUT_OF_MEMORY: Ending("stopped", "out of memory: give it more memory_gb, or lower per_device_batch"),
    "BOOT_FAIL": Ending("stopped", "its node did not start"),
    "DEADLINE": Ending("stopped", "past its deadline"),
    "FAILED": Ending("exited", "its process died without a word: killed, or never started"),
    "COMPLETED": Ending("exited", "ended without a result"),
}


log = logging.getLogger("caebench")


def ask(command: list[str], patience: float = 0.0) -> str:
    """The output of one of SLURM's commands, asked again for some seconds if there is no answer.

    Raises:
        SchedulerSilent: it does not answer within its time, or with an error.
        ValueError: it is not installed.
    """
    end, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        try:
            return _ask_once(command)
        except SchedulerSilent as error:
            if time.monotonic() + pause > end:
                raise
            log.warning("%s Asking again in %.0f s.", error, pause)
            time.sleep(pause)
            pause = min(2 * pause, LAST_PAUSE)


def ask_from_job(command: list[str]) -> str:
    """The same inside a job, which asks again for minutes."""
    return ask(command, PATIENCE)


def _ask_once(command: list[str]) -> str:
    name, advice = command[0], "Run on a machine that can reach the cluster."
    environment = {known: value for known, value in os.environ.items() if not known.startswith(FILTERS)}
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=CALL_LIMIT
        ).stdout
    except OSError as error:
        raise ValueError(f"{name}: not installed on this machine ({error}). {advice}") from error
    except subprocess.TimeoutExpired as error:
        raise SchedulerSilent(f"{name}: no answer within {CALL_LIMIT:g} s. {advice}") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split()).rstrip(".") or str(error).rstrip(".")
        raise SchedulerSilent(f"{name}: {said}. {advice}") from error


def is_installed() -> bool:
    """Whether this machine can ask SLURM."""
    return shutil.which("squeue") is not None


def queued_jobs(users: Iterable[str] = ()) -> dict[str, QueuedJob]:
    """Every pending or running job of some users, by id (`12`, `12_3`); of all users if none are given.

    Raises:
        SchedulerSilent: squeue does not answer.
    """
    named = ",".join(sorted(set(users)))
    return _queued(ask([*SQUEUE, *(["--user", named] if named else [])]))


def _queued(printed: str) -> dict[str, QueuedJob]:
    lines = (line.strip().split("|") for line in printed.splitlines())
    return {job_id: queued for job_id, *facts in lines if (queued := queued_job(*facts)) is not None}


def queued_job(state: str, reason: str, used: str, limit: str, nodes: str) -> QueuedJob | None:
    """A queued job from squeue's fields; None for one that has ended."""
    if state not in (*WAITING, *RUNNING):
        return None
    place = "running" if state in RUNNING else "pending"
    is_held = state in HELD or (state == "PENDING" and reason.startswith(HELD_REASON))
    stalled = "suspended" if state in SUSPENDED else "held" if is_held else None
    return QueuedJob(place, reason, seconds_in(used) or 0.0, seconds_in(limit), nodes, reason == NEVER, stalled)


def seconds_in(text: str) -> float | None:
    """Seconds from `2-12:00:00`, `12:00:00`, `30:00`, `45`; None for anything else (UNLIMITED, infinite)."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return None
    hours, minutes, seconds = ([0, 0, *map(int, parts)])[-3:]
    return 86400.0 * int(days or 0) + 3600.0 * hours + 60.0 * minutes + seconds


def query(users: Collection[str], job_ids: Collection[str]) -> QueueSnapshot:
    """The queued jobs of some users, and how those of some jobs ended that are not in the queue.

    Raises:
        SchedulerSilent: squeue does not answer.
    """
    asked_at, queued = time.time(), queued_jobs(users)
    return QueueSnapshot(NAME, TITLE, asked_at, queued, endings(job_id for job_id in job_ids if job_id not in queued))


def snapshot_now() -> QueueSnapshot:
    """The complete queue, of all users.

    Raises:
        SchedulerSilent: squeue does not answer.
    """
    return QueueSnapshot(NAME, TITLE, time.time(), queued_jobs())


def queued_among(job_ids: Iterable[str]) -> dict[str, QueuedJob]:
    """Those of some jobs that are pending or running, asked from inside one of them.

    Raises:
        SchedulerSilent: squeue does not answer for minutes.
    """
    return _queued(ask_from_job([*SQUEUE, "--jobs", ",".join(sorted(job_ids))]))


def cause(job_id: str, warned: bool) -> str:
    """Why SLURM stops a running job, asked from inside: `preemption`, `scancel`, or else `time limit` if it was warned.

    Raises:
        SchedulerSilent: scontrol does not answer for minutes.
    """
    facts = _facts(ask_from_job(["scontrol", "--oneliner", "show", "job", job_id]))
    if facts.get("JobState") == "CANCELLED":
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
    ask_from_job(["scontrol", "requeue", job_id])


def endings(job_ids: Iterable[str]) -> Mapping[str, Ending]:
    """How jobs ended, for those states of SLURM that we know."""
    return {job_id: ENDS[word] for job_id, word in _words(job_ids).items() if word in ENDS}


def _words(job_ids: Iterable[str]) -> Mapping[str, str]:
    """SLURM's states of ended jobs (TIMEOUT, NODE_FAIL, CANCELLED ...), from accounting if there is any."""
    wanted = ",".join(sorted({job_id.split("_")[0] for job_id in job_ids}))
    if not wanted:
        return {}
    if shutil.which("sacct") is None:
        return _remembered()
    command = ["sacct", "--noheader", "--parsable2", "--format", "JobID,State", "--jobs", wanted]
    try:
        printed = ask(command)
    except SchedulerSilent:
        return _remembered()  # no accounting, or it does not answer
    found: dict[str, str] = {}
    for job_id, _, state in (line.partition("|") for line in printed.splitlines()):
        word, is_step = state.split(" ")[0], "." in job_id
        if not is_step:
            found |= dict.fromkeys(expand(job_id), word)
        elif word == OUT_OF_MEMORY:  # a killed process; its job may only be FAILED
            found[job_id.partition(".")[0]] = word
    return found


def expand(job_id: str) -> list[str]:
    """The single ids of array tasks that never started, which SLURM prints as `12_[3,5-7%2]`."""
    array, bracket, rest = job_id.partition("_[")
    if not bracket:
        return [job_id]
    parts = [part.partition("-") for part in rest.rstrip("]").partition("%")[0].split(",")]
    return [f"{array}_{number}" for first, _, last in parts for number in range(int(first), int(last or first) + 1)]


def _remembered() -> Mapping[str, str]:
    """What slurmctld still remembers of jobs that ended in the last minutes, for clusters without accounting."""
    found: dict[str, str] = {}
    for line in ask(["scontrol", "--oneliner", "show", "jobs"]).splitlines():
        facts = _facts(line)
        if "ArrayTaskId" in facts:
            named = f"{facts['ArrayJobId']}_[{facts['ArrayTaskId']}]"
            found |= dict.fromkeys(expand(named), facts["JobState"])
        elif "JobId" in facts:
            found[facts["JobId"]] = facts["JobState"]
    return found


def _facts(line: str) -> dict[str, str]:
    """The fields of one line of `scontrol --oneliner`."""
    return {name: value for name, _, value in (pair.partition("=") for pair in line.split())}
