"""The script that sbatch gets, submitit's executor that writes it, and the environment in which sbatch runs."""

import logging
import os
import re
import shlex
import shutil
import subprocess  # nosec B404 # lists of arguments, never a shell
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caebench.execution.schedulers.base import SchedulerSilent
from caebench.execution.schedulers.slurm import queue
from caebench.execution.schedulers.slurm.queue import NAME
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.specs.slurm import Slurm

if TYPE_CHECKING:
    from submitit import AutoExecutor

SLICES = 1_000_000  # submitit stops requeueing after so many time limits; a plan never needs as many
WAIT_FOR_CONTROLLER = (  # bash; srun gives up at once where the controller does not confirm its job
    'for _ in $(seq 20); do [ -z "${SLURM_JOB_ID:-}" ] || ! command -v scontrol > /dev/null || '
    'timeout 60 scontrol show job "$SLURM_JOB_ID" > /dev/null 2>&1 && break; '
    'echo "scontrol: no answer. Asking again in 15 s." >&2; sleep 15; done'
)
STOP_AT_FAILURE = (  # bash; an error inside a file that a line sources is that file's own affair
    "trap 's=$?; [ ${#BASH_SOURCE[@]} -gt 1 ] || { "
    'printf "caebench: setup: %s failed with status %s. " "$(sed -n ${LINENO}p "$0")" $s >&2; '
    'echo "Correct [slurm] setup in the site file; || true after a line lets it fail." >&2; '
    "exit $s; }' ERR"
)
ACCEPTED = re.compile(r"^Submitted batch job \d+", re.MULTILINE)
NO_CONTACT = ("timed out", "timeout", "unable to contact", "communication", "connection", "zero bytes", "i/o error")
LOOKS = (2.0, 4.0)  # seconds between looking for a job whose sbatch did not answer
LATE = (
    "A job that SLURM accepts later ends by itself a minute after its start, without running. "
    "Run the command again once SLURM answers; what was submitted before stays."
)
NO_EXPORT = ("SBATCH_EXPORT", "SLURM_EXPORT_ENV")  # with NONE, a job and its processes would lose their environment

log = logging.getLogger("caebench")


def make_executor(settings: Slurm, store: Path) -> "AutoExecutor":
    """submitit's executor for a store's jobs.

    Raises:
        ValueError: this machine cannot submit.
    """
    if absent := [name for name in ("sbatch", "srun") if shutil.which(name) is None]:
        raise ValueError(f"{absent[0]}: not installed on this machine. Submit from a login node of the cluster.")
    from submitit import AutoExecutor

    command = interpreter(settings, store)
    python = {"slurm_python": command} if command else {}
    return AutoExecutor(folder=store / NAME, cluster="slurm", slurm_max_num_timeout=SLICES, **python)


def make_log_folder(store: Path) -> None:
    """Create the folder of the logs, which must exist before a job starts."""
    (store / NAME).mkdir(parents=True, exist_ok=True)


def interpreter(settings: Slurm, store: Path) -> str | None:
    """The command that runs a job's python; None: the interpreter that submits."""
    if settings.venv is not None:
        return "python"  # of the environment, which the job activates
    if settings.container is not None:
        binds = ",".join([str(store), *settings.binds])
        return f"apptainer exec --nv --bind {shlex.quote(binds)} {shlex.quote(str(settings.container))} python"
    return settings.python


def parameters(settings: Slurm, submission: Submission, ids: Mapping[str, str], code: Path | None) -> dict[str, Any]:
    """submitit's parameters for a submission."""
    kind = submission.jobs[0].kind if submission.jobs else "probe"
    activation = [f"source {shlex.quote(str(settings.venv / 'bin' / 'activate'))}"] if settings.venv else []
    asked: dict[str, Any] = {
        "name": f"caebench-{kind}",
        "nodes": settings.nodes,
        "tasks_per_node": settings.tasks_per_node or max(1, settings.gpus_per_node),
        "cpus_per_task": settings.cpus_per_task,
        "timeout_min": settings.minutes,
        "slurm_signal_delay_s": settings.warning_seconds,
        "slurm_setup": [
            f"unset {' '.join(NO_EXPORT)}",
            *(STOP_AT_FAILURE, *settings.setup, *activation, *_use_code(code), "trap - ERR", WAIT_FOR_CONTROLLER),
        ],
        "slurm_srun_args": ["--kill-on-bad-exit=1", *settings.srun],  # a failed process ends the others
        "slurm_partition": settings.partition,
        "slurm_account": settings.account,
        "slurm_qos": settings.qos,
        "slurm_constraint": settings.constraint,
        "slurm_dependency": dependency(submission, ids),
        "gpus_per_node": settings.gpus_per_node or None,
        "mem_gb": settings.memory_gb,
    }
    more = {"slurm_additional_parameters": {"kill-on-invalid-dep": "yes", "requeue": True}}
    return {name: value for name, value in asked.items() if value is not None} | more


def _use_code(code: Path | None) -> list[str]:
    """Lines that have Python import a snapshot's code, and nothing from the folder that the job was submitted from."""
    if code is None:
        return []
    rest = '"${PYTHONPATH:+:$PYTHONPATH}"'
    return ["export PYTHONSAFEPATH=1", f"export PYTHONPATH={shlex.quote(str(code))}{rest}"]


def dependency(submission: Submission, ids: Mapping[str, str]) -> str | None:
    """The sbatch dependency; parents that are done by our own records have no id here."""
    after = [ids[parent.id] for parent in submission.after if parent.id in ids]
    each = [re.sub(r"^(\d+)_\d+$", r"\1", ids[tied.jobs[0].id]) for tied in submission.after_each]
    ended = [ids[parent.id] for parent in submission.after_any if parent.id in ids]
    kinds = {"afterok": after, "afterany": ended, "aftercorr": each}
    return ",".join(":".join([kind, *found]) for kind, found in kinds.items() if found) or None


@contextmanager
def submitting() -> Generator[None]:
    """For calls of sbatch: without a surrounding job's variables; its errors are a user's, in one line.

    Raises:
        ValueError: sbatch rejects a job.
        SchedulerSilent: it does not answer.
    """
    from submitit.core.utils import FailedJobError

    try:
        with _own_environment(), _checked_answers():
            yield
    except FailedJobError as error:
        raise ValueError(
            f"{_in_one_line(str(error))}. Correct [slurm] in the site file; what was submitted before stays."
        ) from error


@contextmanager
def _checked_answers() -> Generator[None]:
    """Have submitit call sbatch through `run_sbatch`; by itself it would wait for ever, and believe any answer."""
    from submitit.core import utils

    class Sbatch(utils.CommandFunction):
        def __call__(self, *_: object, **__: object) -> str:
            return run_sbatch(self.command)

    theirs = utils.CommandFunction
    utils.CommandFunction = Sbatch
    try:
        yield
    finally:
        utils.CommandFunction = theirs


def run_sbatch(command: list[str]) -> str:
    """sbatch's answer. Without one, SLURM may still have taken the job: then it is in the queue with its script.

    Raises:
        FailedJobError: sbatch rejects the job.
        SchedulerSilent: it does not answer, and no such job is found.
    """
    from submitit.core.utils import FailedJobError

    try:
        if found := ACCEPTED.search(printed := queue.call(command).stdout):
            return found[0]
        said, is_rejected = f"its answer {printed[:60]!r} has no job's id", False
    except subprocess.TimeoutExpired:
        said, is_rejected = f"no answer within {queue.CALL_LIMIT:g} s", False
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or str(error)
        is_rejected = not any(words in said.lower() for words in NO_CONTACT)
    if (job_id := _find_submitted(Path(command[-1]), said, looks=() if is_rejected else LOOKS)) is not None:
        log.warning("sbatch: %s; but SLURM has the job, as %s", _in_one_line(said), job_id)
        return f"Submitted batch job {job_id}"
    if is_rejected:
        raise FailedJobError(said)
    raise SchedulerSilent(f"sbatch: {_in_one_line(said)}; squeue lists no job with its script. {LATE}")


def _find_submitted(script: Path, said: str, looks: Sequence[float]) -> str | None:
    """The id of the job with a script whose sbatch did not answer; SLURM may be slow, so that it appears later."""
    if not looks and shutil.which("squeue") is None:
        return None  # rejected, and nobody to ask
    for pause in (*looks, None):
        try:
            found = queue.submitted_as(script)
        except SchedulerSilent as error:
            raise SchedulerSilent(f"sbatch: {_in_one_line(said)}; {error} {LATE}") from error
        if found is not None or pause is None:
            return found
        time.sleep(pause)
    return None


def _in_one_line(said: str) -> str:
    return "; ".join(line.strip().rstrip(".") for line in said.splitlines() if line.strip())


@contextmanager
def _own_environment() -> Generator[None]:
    """Hide the variables of a surrounding SLURM job, which sbatch would take for options, and those against export."""
    kept = ("SLURM_CONF",)
    names = [name for name in os.environ if (name.startswith("SLURM_") and name not in kept) or name in NO_EXPORT]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)
