"""The answers of SLURM's commands, read strictly. Only this module knows SLURM's state names.

An answer that is cut off, garbled or about another job is no answer: nobody may take a job for gone because of it.
"""

import re
from collections.abc import Iterator, Mapping

from caebench.store.queue import Ending, QueuedJob

RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
SUSPENDED = ("SUSPENDED", "STOPPED")
HELD, HELD_REASON = ("REQUEUE_HOLD", "SPECIAL_EXIT"), "JobHeld"  # states, and how reasons for a pending job begin
OUT_OF_MEMORY = "OUT_OF_MEMORY"
NEVER = "DependencyNeverSatisfied"
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
FINAL = ENDS.keys() - {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL"}  # after those three a job may be requeued
ENDED = (*ENDS, "REVOKED")
JOB_ID = re.compile(
    r"\d+(\+\d+)?(_\d+|_\[[\d,%:.-]+\])?"
)  # `12`, `12_3`, `12_[0-3,7%2]`, `12+1` of a heterogeneous job
STATE = re.compile(r"[A-Z]+(_[A-Z]+)*")
NOBODY = "No jobs in the system"  # scontrol's words for an empty queue
NAMED = re.compile(r" JobName=.*? (?=UserId=\S+ GroupId=)")  # text that a user chooses, and that may contain fields
Facts = Mapping[str, str]


class Unreadable(Exception):
    """A command's answer is cut off, or not what that command prints."""


def read_queue(printed: str) -> dict[str, QueuedJob]:
    """The pending or running jobs that squeue lists, by id.

    Raises:
        Unreadable: a line is not a job's.
    """
    found: dict[str, QueuedJob] = {}
    for line in whole_lines(printed):
        fields = line.split("|")
        if not (len(fields) >= 6 and JOB_ID.fullmatch(fields[0]) and STATE.fullmatch(fields[1])):
            raise Unreadable(f"the line {line[:60]!r} is no job")
        job_id, state, *reason, used, limit, nodes = fields
        if (queued := queued_job(state, "|".join(reason), used, limit, nodes)) is not None:
            found[job_id] = queued
    return found


def whole_lines(printed: str) -> Iterator[str]:
    """The lines of an answer, without empty ones.

    Raises:
        Unreadable: the last one has no end.
    """
    if printed.strip() and not printed.endswith("\n"):
        raise Unreadable(f"it breaks off at {printed.splitlines()[-1][-60:]!r}")
    return (line.strip() for line in printed.split("\n") if line.strip())


def queued_job(state: str, reason: str, used: str, limit: str, nodes: str) -> QueuedJob | None:
    """A queued job from squeue's fields; None for one that has ended. A state that we do not know is no end."""
    if state in ENDED:
        return None
    if state not in (*WAITING, *RUNNING):
        reason = f"in state {state}, which caebench does not know"
    place = "running" if state in RUNNING else "pending"
    is_held = state in HELD or (state == "PENDING" and reason.startswith(HELD_REASON))
    stalled = "suspended" if state in SUSPENDED else "held" if is_held else None
    return QueuedJob(place, reason, seconds_in(used) or 0.0, seconds_in(limit), nodes, reason == NEVER, stalled)


def seconds_in(text: str) -> float | None:
    """Seconds from `2-12:00:00`, `12:00:00`, `30:00`, `45`; None for anything else (UNLIMITED, infinite)."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdecimal() for part in (*parts, days or "0")):
        return None
    hours, minutes, seconds = ([0, 0, *map(int, parts)])[-3:]
    return 86400.0 * int(days or 0) + 3600.0 * hours + 60.0 * minutes + seconds


def read_accounting(printed: str) -> dict[str, str]:
    """SLURM's states by job, from sacct's lines of jobs and their steps.

    Raises:
        Unreadable: a line is neither.
    """
    found: dict[str, str] = {}
    no_memory: dict[str, str] = {}  # a killed process; its job may only be FAILED
    for line in whole_lines(printed):
        job_id, _, state = line.partition("|")
        (job_id, is_step, _), word = job_id.partition("."), state.split(" ")[0]
        if not (JOB_ID.fullmatch(job_id) and STATE.fullmatch(word)):
            raise Unreadable(f"the line {line[:60]!r} is no job")
        if not is_step:
            found |= dict.fromkeys(expand(job_id), word)
        elif word == OUT_OF_MEMORY:
            no_memory[job_id] = word
    return found | no_memory


def expand(job_id: str) -> list[str]:
    """The single ids of array tasks that never started, which SLURM prints as `12_[3,5-7%2]`."""
    array, bracket, rest = job_id.partition("_[")
    if not bracket:
        return [job_id]
    parts = re.findall(r"(\d+)(?:-(\d+))?(?::(\d+))?", rest.rstrip("]").partition("%")[0])
    ranges = (range(int(first), int(last or first) + 1, int(step or 1)) for first, last, step in parts)
    return [f"{array}_{number}" for some in ranges for number in some]


def read_jobs(printed: str) -> dict[str, Facts]:
    """The facts that `scontrol --oneliner show job(s)` prints, by job.

    Raises:
        Unreadable: a line is not a job's.
    """
    found: dict[str, Facts] = {}
    for line in whole_lines(printed):
        if line == NOBODY:
            continue
        facts = _facts(line)
        if not (facts.get("JobId", "").isdecimal() and STATE.fullmatch(facts.get("JobState", ""))):
            raise Unreadable(f"the line {line[:60]!r} is no job")
        named = f"{facts['ArrayJobId']}_[{facts['ArrayTaskId']}]" if "ArrayTaskId" in facts else facts["JobId"]
        found |= dict.fromkeys(expand(named), facts)
    return found


def _facts(line: str) -> Facts:
    """The fields of one line of `scontrol --oneliner`; the first of a name counts, since paths may contain others."""
    found: dict[str, str] = {}
    for name, _, value in (pair.partition("=") for pair in NAMED.sub(" ", line).split()):
        found.setdefault(name, value)
    return found


def queued_from(facts: Facts) -> QueuedJob | None:
    """A queued job from scontrol's facts; None for one that has ended."""
    reason, used, limit, nodes = (facts.get(name, "") for name in ("Reason", "RunTime", "TimeLimit", "NodeList"))
    return queued_job(facts["JobState"], reason, used, limit, nodes)
