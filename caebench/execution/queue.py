"""What SLURM knows of jobs: one call of squeue, one of sacct."""

import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from caebench.plan.lease import Look, holder
from caebench.plan.standing import RUNNING, Queue, Queued

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
FORMAT = "%i|%T|%r|%M|%l|%N"


def ask(command: list[str]) -> str:
    """What a command of SLURM's answers.

    Raises:
        ValueError: it is not there, or cannot reach the cluster.
    """
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ValueError(f"{command[0]}: {said.strip()}. Run on a machine that can reach the cluster.") from error


def is_installed() -> bool:
    """Whether this machine can ask SLURM."""
    return shutil.which("squeue") is not None


def look(users: Iterable[str] = ()) -> dict[str, Queued]:
    """Every job of some users that is pending or running, by id (`12`, `12_3`); all users' without any.

    Raises:
        ValueError: squeue cannot be asked.
    """
    named = ",".join(sorted(set(users)))
    command = ["squeue", "--noheader", "--array", "--all", "--format", FORMAT, *(["--user", named] if named else [])]
    found: dict[str, Queued] = {}
    for line in ask(command).splitlines():
        job_id, *facts = line.strip().split("|")
        found[job_id] = Queued(*facts)
    return {job_id: queued for job_id, queued in found.items() if queued.state in (*WAITING, *RUNNING)}


def see(folders: Iterable[Path]) -> Queue | None:
    """One look at SLURM for the jobs of some folders; None where none of them has been there."""
    leases = [content for folder in folders if (content := holder(folder)).get("slurm")]
    if not leases or not is_installed():
        return None
    queued = look(str(content["user"]) for content in leases)
    gone = [str(content["slurm"]) for content in leases if content["slurm"] not in queued]
    return Queue(queued, ends(gone))


def look_now() -> Look:
    """Every id in the queue that can still start, and when that was."""
    moment = time.time()
    return Look({job_id for job_id, queued in look().items() if not queued.can_never_start}, moment)


def cause(job_id: str, warned: bool) -> str:
    """Why SLURM stops a running job: `preemption`, `scancel`, or else `time limit` where it was warned.

    Raises:
        ValueError: scontrol cannot be asked.
    """
    facts = _facts(ask(["scontrol", "--oneliner", "show", "job", job_id]))
    if facts.get("JobState") == "CANCELLED":
        return "scancel"
    if facts.get("PreemptTime", "None") not in ("None", "Unknown"):
        return "preemption"  # within its grace time, after which SLURM requeues by itself only what still runs
    return "time limit" if warned else "a signal"


def cancel(job_ids: Iterable[str]) -> None:
    """Take jobs out of the queue; SLURM requeues none of them.

    Raises:
        ValueError: scancel cannot be asked.
    """
    ask(["scancel", *job_ids])


def ends(job_ids: Iterable[str]) -> Mapping[str, str]:
    """How jobs ended, by accounting: TIMEOUT, NODE_FAIL, OUT_OF_MEMORY, CANCELLED ...; nothing where there is none."""
    wanted = ",".join(sorted({job_id.split("_")[0] for job_id in job_ids}))
    if not wanted:
        return {}
    if shutil.which("sacct") is None:
        return _remembered()
    command = ["sacct", "--noheader", "--parsable2", "--format", "JobID,State", "--jobs", wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return _remembered()
    lines = [line.partition("|") for line in done.stdout.splitlines() if "." not in line]
    return {one: state.split(" ")[0] for job_id, _, state in lines for one in expand(job_id)}


def expand(job_id: str) -> list[str]:
    """The ids in what SLURM prints for tasks of an array that never started: `12_[3,5-7%2]`."""
    array, bracket, rest = job_id.partition("_[")
    if not bracket:
        return [job_id]
    parts = [part.partition("-") for part in rest.rstrip("]").partition("%")[0].split(",")]
    return [f"{array}_{number}" for first, _, last in parts for number in range(int(first), int(last or first) + 1)]


def _remembered() -> Mapping[str, str]:
    """What slurmctld still knows of ended jobs, on a cluster without accounting: some minutes' worth."""
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
    """A line of `scontrol --oneliner`."""
    return {name: value for name, _, value in (pair.partition("=") for pair in line.split())}
