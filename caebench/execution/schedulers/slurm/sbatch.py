"""The script that sbatch gets, submitit's executor that writes it, and the environment in which sbatch runs."""

import os
import re
import shlex
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caebench.execution.schedulers.slurm.queue import NAME
from caebench.execution.schedulers.slurm.submissions import Submission
from caebench.specs.slurm import Slurm

if TYPE_CHECKING:
    from submitit import AutoExecutor

SLICES = 1_000_000  # submitit stops requeueing after so many time limits; a plan never needs as many
STOP_AT_FAILURE = (  # bash; an error inside a file that a line sources is that file's own affair
    "trap 's=$?; [ ${#BASH_SOURCE[@]} -gt 1 ] || { "
    'printf "caebench: setup: %s failed with status %s. " "$(sed -n ${LINENO}p "$0")" $s >&2; '
    'echo "Correct [slurm] setup in the site file; || true after a line lets it fail." >&2; '
    "exit $s; }' ERR"
)
NO_EXPORT = ("SBATCH_EXPORT", "SLURM_EXPORT_ENV")  # with NONE, a job and its processes would lose their environment


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
            *(STOP_AT_FAILURE, *settings.setup, *activation, *_use_code(code), "trap - ERR"),
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
    """
    from submitit.core.utils import FailedJobError

    try:
        with _own_environment(), redirect_stderr(StringIO()):  # submitit also prints the error
            yield
    except FailedJobError as error:
        said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise ValueError(f"{said}. Correct [slurm] in the site file; what was submitted before stays.") from error


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
