"""Run a job from its folder, or several in one pass: the only place where planning opens the door to training."""

import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from caebench.config.site import Site
from caebench.config.stage import RESULT
from caebench.execution import provenance
from caebench.plan.files import now, read_json, write_json
from caebench.plan.lease import Held, Look, acquire, release
from caebench.plan.standing import last_sign
from caebench.plan.store import ATTEMPTS, CHECKPOINTS, FAILURE, JOB, PROVENANCE, read_config

Outcome = Literal["done", "failed", "stopped"]
Progress = Callable[[int, int, Mapping[str, float]], None]
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # torch's words, and the kernel's
log = logging.getLogger("caebench")


def silent(done: int, total: int, shown: Mapping[str, float]) -> None:
    """Progress for nobody: metrics.jsonl has it."""


def run_job(folder: Path, store: Path, site: Site, progress: Progress = silent) -> Outcome:
    """Run the job of a folder to its end, or on from its last checkpoint; every process of a group calls this.

    Raises:
        Held: another live process runs it.
    """
    return run_jobs({folder: progress}, store, site)[folder]


def run_jobs(
    jobs: Mapping[Path, Progress],
    store: Path,
    site: Site,
    slurm_id: str | None = None,
    look: Look | None = None,
    beside: int = 1,
) -> dict[Path, Outcome]:
    """Run the job of a folder, or those of several that share a pass (`plan.passes`); one that is held is left out.

    A SLURM job gives its id, under which it finds its leases again after a requeue. `beside` is how many such runs have
    the device at once: each counts for its part of the hours.

    Raises:
        Held: other live processes run all of them.
    """
    group = join(site)
    if not group.is_main:
        return _attempt(jobs, store, site, group)
    mine = _acquire(jobs, slurm_id, look, may_leave_out=group.size == 1)
    place = {"slurm": slurm_id, "restart": os.environ.get("SLURM_RESTART_COUNT"), "processes": group.size}
    for folder in mine:
        log_attempt(folder, begins=now(), seen=last_sign(folder), shared_by=len(mine) * beside, **place)
    outcomes: dict[Path, Outcome] = dict.fromkeys(mine, "failed")
    try:
        outcomes |= _attempt(mine, store, site, group)
        return outcomes
    except SystemExit:  # a warning outside of a training loop: submitit's handler has asked for a requeue
        outcomes = {folder: "done" if (folder / RESULT).exists() else "stopped" for folder in mine}
        raise
    finally:
        for folder, outcome in outcomes.items():
            log_attempt(folder, ends=now(), outcome=outcome)
            if outcome != "stopped" or slurm_id is None:  # a SLURM job that is requeued keeps its lease
                release(folder)


def _acquire(
    jobs: Mapping[Path, Progress], slurm_id: str | None, look: Look | None, may_leave_out: bool
) -> dict[Path, Progress]:
    """The jobs whose leases are ours now; of several processes the others could not know which are left out."""
    mine: dict[Path, Progress] = {}
    refused: Held | None = None
    for folder, progress in jobs.items():
        try:
            acquire(folder, slurm_id, look)
            mine[folder] = progress
        except Held as error:
            refused = error
            log.warning("%s", error)
    if refused is not None and not (mine and may_leave_out):
        for folder in mine:
            release(folder)
        raise refused
    return mine


def join(site: Site) -> Any:
    """This process's place in its group."""
    from caebench.training.distributed import join_group

    return join_group(site.device)


def log_attempt(folder: Path, **facts: Any) -> None:
    """Add a line to the job's attempts: one where an attempt begins, one where it ends."""
    line = {"host": socket.gethostname(), "pid": os.getpid(), **facts}
    with (folder / ATTEMPTS).open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")


@dataclass
class Begun:
    """A job at work."""

    folder: Path
    job: Mapping[str, Any]  # of job.json
    config: Any
    run: Any
    started: float


def _attempt(jobs: Mapping[Path, Progress], store: Path, site: Site, group: Any) -> dict[Path, Outcome]:
    from caebench.stages import run_stages

    outcomes: dict[Path, Outcome] = {}
    begun: list[Begun] = []
    for folder, job in {folder: read_json(folder / JOB) for folder in jobs}.items():
        try:
            begun.append(_begin(folder, job, store, site, jobs[folder], group))
        except Exception as error:  # a job may fail in any way; the run goes on with what does not rest on it
            outcomes[folder] = _end_without(folder, error, group.is_main)
            if group.size > 1:  # the other processes wait for all of it
                return {folder: _end_without(folder, error, group.is_main) for folder in jobs}

    def ended(number: int, found: dict[str, Any] | Exception) -> None:
        one = begun[number]
        if isinstance(found, Exception):
            outcomes[one.folder] = _end_without(one.folder, found, group.is_main)
        else:
            outcomes[one.folder] = _end(one, found, group.is_main)

    try:
        run_stages([(one.config, one.run) for one in begun], ended)
    except Exception as error:  # as above
        for one in begun:
            if one.folder not in outcomes:
                outcomes[one.folder] = _end_without(one.folder, error, group.is_main)
    return outcomes


def _begin(folder: Path, job: Mapping[str, Any], store: Path, site: Site, progress: Progress, group: Any) -> Begun:
    from caebench.training.run import Run

    started = time.monotonic()
    inputs = {role: store / name for role, name in job["inputs"].items()}
    aids = {role: store / name for role, name in job.get("aids", {}).items() if (store / name / RESULT).exists()}
    if group.is_main:
        (folder / FAILURE).unlink(missing_ok=True)
    config = read_config(job["config"])
    require_inputs(inputs)
    if group.is_main:
        made_with = {
            **provenance.collect(),
            "device": device_name(group.device),
            "processes": group.size,
            "started": now(),
            **({"aids": {role: path.name for role, path in aids.items()}} if aids else {}),
        }
        write_json(folder / PROVENANCE, made_with)
    return Begun(folder, job, config, Run(folder, inputs, site, group, progress, aids=aids), started)


def _end(one: Begun, metrics: dict[str, Any], is_main: bool) -> Outcome:
    if is_main:
        inputs = one.run.inputs.items()
        content = {
            "id": one.job["id"],
            "metrics": metrics,
            "intervals": one.run.intervals,
            "inputs_finished": {role: read_json(path / RESULT).get("finished") for role, path in inputs},
            "fingerprints": one.run.fingerprints,
            "seconds": round(time.monotonic() - one.started, 2),
            "finished": now(),
        }
        write_json(one.folder / RESULT, content)
        _tidy(one.folder)
    return "done"


def _end_without(folder: Path, error: Exception, is_main: bool) -> Outcome:
    """A job was stopped, or failed."""
    from caebench.training.signals import Interrupted

    if not isinstance(error, Interrupted):
        _record_failure(folder, error)
        return "failed"
    log.warning("%s: %s", folder.name, error)
    if is_main:
        log_attempt(folder, stopped_by=error.signal)
    return "stopped"


def require_inputs(inputs: Mapping[str, Path]) -> None:
    """Refuse to start on inputs that are not there.

    Raises:
        ValueError: an input job is not done.
    """
    for role, folder in inputs.items():
        if not (folder / RESULT).exists():
            raise ValueError(
                f"input '{role}': {folder.name} is not done. Run it first: caebench run job {folder.name[-10:]}"
            )


def device_name(device: Any) -> str:
    """The device in words, for the record."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _record_failure(folder: Path, error: Exception) -> None:
    """Write why a job failed, in the words of the process that failed first: the others only lose their connection."""
    trace = "".join(traceback.format_exception(error))
    try:
        if not (folder / FAILURE).exists():
            write_json(folder / FAILURE, {"error": in_words(error), "trace": trace, "time": now()})
    except OSError as full_disk:
        log.error("%s: the failure cannot be written: %s", folder, full_disk)
    log.error("%s failed: %s", folder.name, error)


def in_words(error: Exception) -> str:
    """An error's type and message; for memory, which has many errors, what to do."""
    said = f"{type(error).__name__}: {error}"
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if is_memory or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return f"out of memory: lower per_device_batch in the site file, or give the job more ({said})"
    return said


def _tidy(folder: Path) -> None:
    """A finished job needs no checkpoints; its outputs stand in its folder."""
    for path in (folder / CHECKPOINTS).glob("*"):
        path.unlink()
    if (folder / CHECKPOINTS).exists():
        (folder / CHECKPOINTS).rmdir()
