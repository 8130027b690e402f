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
    """Every id in the queue, and when that was."""
    moment = time.time()
    return Look(look(), moment)


def cause(job_id: str, warned: bool) -> str:
    """Why SLURM stops a running job: `preemption`, `scancel`, or else `time limit` where it was warned.

    Raises:
        ValueError: scontrol cannot be asked.
    """
    facts = dict(part.partition("=")[::2] for part in ask(["scontrol", "--oneliner", "show", "job", job_id]).split())
    if facts.get("PreemptTime", "None") not in ("None", "Unknown", "N/A"):
        return "preemption"
    if facts.get("JobState") == "CANCELLED":
        return "scancel"
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
    if not wanted or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "--noheader", "--parsable2", "--format", "JobID,State", "--jobs", wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line.split("|") for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return {line[0]: line[1].split(" ")[0] for line in lines if len(line) == 2 and "." not in line[0]}
