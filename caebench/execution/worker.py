"""Run one job from its folder: the only place where planning opens the door to training."""

import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from caebench.config.site import Site
from caebench.config.stage import RESULT
from caebench.execution import provenance
from caebench.plan.files import now, read_json, write_json
from caebench.plan.lease import Look, acquire, release
from caebench.plan.standing import last_sign
from caebench.plan.store import ATTEMPTS, CHECKPOINTS, FAILURE, JOB, PROVENANCE, read_config

Outcome = Literal["done", "failed", "stopped"]
Progress = Callable[[int, int, Mapping[str, float]], None]
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # torch's words, and the kernel's
log = logging.getLogger("caebench")


def silent(done: int, total: int, shown: Mapping[str, float]) -> None:
    """Progress for nobody: metrics.jsonl has it."""


def run_job(
    folder: Path,
    store: Path,
    site: Site,
    progress: Progress = silent,
    slurm_id: str | None = None,
    look: Look | None = None,
) -> Outcome:
    """Run the job of a folder to its end, or on from its last checkpoint; every process of a group calls this.

    A SLURM job gives its id, under which it finds its lease again after a requeue.

    Raises:
        Held: another live process runs it.
    """
    group = join(site)
    if not group.is_main:
        return _attempt(folder, store, site, progress, group)
    acquire(folder, slurm_id, look)
    place = {"slurm": slurm_id, "restart": os.environ.get("SLURM_RESTART_COUNT"), "processes": group.size}
    log_attempt(folder, begins=now(), seen=last_sign(folder), **place)
    outcome: Outcome = "failed"
    try:
        outcome = _attempt(folder, store, site, progress, group)
        return outcome
    except SystemExit:  # a warning outside of a training loop: submitit's handler has asked for a requeue
        outcome = "stopped"
        raise
    finally:
        log_attempt(folder, ends=now(), outcome=outcome)
        if outcome != "stopped" or slurm_id is None:  # a SLURM job that is requeued keeps its lease
            release(folder)


def join(site: Site) -> Any:
    """This process's place in its group."""
    from caebench.training.distributed import join_group

    return join_group(site.device)


def log_attempt(folder: Path, **facts: Any) -> None:
    """Add a line to the job's attempts: one where an attempt begins, one where it ends."""
    line = {**facts, "host": socket.gethostname(), "pid": os.getpid()}
    with (folder / ATTEMPTS).open("a", encoding="utf8") as file:
        file.write(json.dumps(line) + "\n")


def _attempt(folder: Path, store: Path, site: Site, progress: Progress, group: Any) -> Outcome:
    from caebench.stages import run_stage
    from caebench.training.run import Run
    from caebench.training.signals import Interrupted

    job = read_json(folder / JOB)
    inputs = {role: store / name for role, name in job["inputs"].items()}
    aids = {role: store / name for role, name in job.get("aids", {}).items() if (store / name / RESULT).exists()}
    started = time.monotonic()
    if group.is_main:
        (folder / FAILURE).unlink(missing_ok=True)
    try:
        config = read_config(job["config"])
        require_inputs(inputs)
        run = Run(folder, inputs, site, group, progress, aids=aids)
        made_with = {
            **provenance.collect(),
            "device": device_name(group.device),
            "processes": group.size,
            "started": now(),
            **({"aids": {role: path.name for role, path in aids.items()}} if aids else {}),
        }
        if group.is_main:
            write_json(folder / PROVENANCE, made_with)
        metrics = run_stage(config, run)
        if group.is_main:
            seconds = round(time.monotonic() - started, 2)
            content = {
                "id": job["id"],
                "metrics": metrics,
                "intervals": run.intervals,
                "inputs_finished": {role: read_json(path / RESULT).get("finished") for role, path in inputs.items()},
                "fingerprints": run.fingerprints,
                "seconds": seconds,
                "finished": now(),
            }
            write_json(folder / RESULT, content)
            _tidy(folder)
    except Interrupted as stop:
        log.warning("%s: %s", folder.name, stop)
        if group.is_main:
            log_attempt(folder, stopped_by=stop.signal)
        return "stopped"
    except Exception as error:  # a job may fail in any way; the run goes on with what does not rest on it
        _record_failure(folder, error)
        return "failed"
    return "done"


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
