"""One attempt at a job, or at several in one pass: the only place where the planning half calls the training half."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from caebench.execution import provenance
from caebench.execution.recording import log_attempt, record_error
from caebench.files.atomic import PARTIAL, now, remove, set_aside, write_json
from caebench.files.layout import (
    CHECKPOINTS,
    DAMAGED,
    FAILURE,
    INPUTS,
    JOB,
    LEASE,
    PROVENANCE,
    RESULT,
    id_in,
    name_of,
)
from caebench.files.result import damage, read_result, read_whole, require_outputs, write_result
from caebench.specs.progress import Progress
from caebench.specs.registry import read_config
from caebench.specs.site import Site
from caebench.store.lease import LeaseLost
from caebench.store.store import Store

Outcome = Literal["done", "failed", "stopped"]
log = logging.getLogger("caebench")


@dataclass
class Begun:
    """A job that has begun."""

    folder: Path
    job: Mapping[str, Any]  # of job.json
    config: Any
    run: Any
    started: float
    inputs_finished: Mapping[str, Any]  # when each input's result was finished; in the main process


def attempt(jobs: Mapping[Path, Progress], store: Path, site: Site, group: Any) -> dict[Path, Outcome]:
    """Run or resume jobs whose leases this process has; those of a pass together.

    Where a loss was not finite, the job goes on from its last checkpoint: see `training.repeating`.
    """
    from caebench.stages import Repetition

    attempted = _Attempt(store, site, group, {folder: Repetition() for folder in jobs}, set(jobs))
    while attempted.left:
        attempted.run({folder: progress for folder, progress in jobs.items() if folder in attempted.left})
    return attempted.outcomes


@dataclass
class _Attempt:
    """An attempt at jobs, and what has become of them so far."""

    store: Path
    site: Site
    group: Any
    repetitions: Mapping[Path, Any]
    left: set[Path]  # jobs to run, or to run again
    outcomes: dict[Path, Outcome] = field(default_factory=dict[Path, Outcome])

    def run(self, jobs: Mapping[Path, Progress]) -> None:
        """Run jobs once."""
        from caebench.stages import run_stages

        self.left = set()
        begun = self._begin(jobs)
        heard: set[int] = set()

        def ended(number: int, found: dict[str, Any] | Exception) -> None:
            heard.add(number)
            self._hear(begun[number], found)

        if self.group.any([not begun])[0]:  # and no process reads a checkpoint before all have looked at the inputs
            self.outcomes.update({folder: "failed" for folder in jobs if folder not in self.outcomes})
            return
        try:
            run_stages([(one.config, one.run) for one in begun], ended)
        except Exception as error:  # a job may fail in any way; the run continues with other jobs
            for one in (one for number, one in enumerate(begun) if number not in heard):
                self._hear(one, error)

    def _begin(self, jobs: Mapping[Path, Progress]) -> list[Begun]:
        """Begin jobs; of several processes each must begin all, or none: the others would wait for it."""
        begun: list[Begun] = []
        for folder, progress in jobs.items():
            try:
                one = _begin(folder, self.store, self.site, progress, self.group)
                one.run.repetition = self.repetitions[folder]
                begun.append(one)
            except Exception as error:  # as above
                for failed in jobs if self.group.size > 1 else (folder,):
                    self.outcomes[failed] = _end_without(failed, error, self.group.is_main)
                if self.group.size > 1:
                    return []
        return begun

    def _hear(self, one: Begun, found: dict[str, Any] | Exception) -> None:
        """Record how a job has ended, unless it is to be repeated."""
        from caebench.stages import Diverged

        if not isinstance(found, Exception):
            self.outcomes[one.folder] = self._finish(one, found)
        elif isinstance(found, Diverged) and self.repetitions[one.folder].again(found):
            self.left.add(one.folder)
            log.warning("%s: repeated from the last checkpoint", found.what)
            if self.group.is_main:
                log_attempt(one.folder, repeated=found.what)
        else:
            self.outcomes[one.folder] = _end_without(one.folder, found, self.group.is_main)

    def _finish(self, one: Begun, metrics: dict[str, Any]) -> Outcome:
        """Write a job's result; where that fails, as on a full disk, the job has failed."""
        try:
            return _end(one, metrics, self.group.is_main)
        except Exception as error:
            return _end_without(one.folder, error, self.group.is_main)


def _begin(folder: Path, store: Path, site: Site, progress: Progress, group: Any) -> Begun:
    from caebench.stages import Run

    started, job = time.monotonic(), read_whole(folder / JOB)
    known = Store(store)
    inputs = {role: known.at(name) for role, name in job["inputs"].items()}
    optional = {role: known.at(name) for role, name in job.get("optional_inputs", {}).items()}
    optional = {role: path for role, path in optional.items() if known.state_at(path) == "done"}
    if group.is_main:
        (folder / FAILURE).unlink(missing_ok=True)
        _clear_left_overs(folder)
        _set_aside_damaged(folder)
    config = read_config(job["config"])
    require_inputs(inputs, known)
    seen: Mapping[str, Any] = {}
    if group.is_main:
        for path in inputs.values():
            require_outputs(path)
        seen = _note_inputs(folder, inputs)
        made_with = {
            **provenance.collect(),
            "device": device_name(group.device),
            "processes": group.size,
            "started": now(),
            **({"optional_inputs": {role: path.name for role, path in optional.items()}} if optional else {}),
        }
        write_json(folder / PROVENANCE, made_with)
    run = Run(folder, inputs, site, group, progress, optional_inputs=optional)
    return Begun(folder, job, config, run, started, seen)


def _clear_left_overs(folder: Path) -> None:
    """Delete what a killed attempt was writing; what is of a lease may be of another process that wants it now."""
    for path in folder.rglob(f".*{PARTIAL}"):
        if LEASE not in path.name:
            remove(path)


def _set_aside_damaged(folder: Path) -> None:
    """A damaged result is no result: keep it under another name until there is a new one."""
    path = folder / RESULT
    if os.path.lexists(path) and (wrong := damage(folder)):
        log.warning("%s: %s; it runs again", folder.name, wrong)
        set_aside(path)


def _note_inputs(folder: Path, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Record which results of its inputs a job begins with; if one has changed since, its checkpoints are deleted."""
    path, found = folder / INPUTS, {role: read_result(one).get("finished") for role, one in inputs.items()}
    before = read_whole(path) if os.path.lexists(path) else found
    changed = [name_of(one) for role, one in inputs.items() if before.get(role) != found[role]]
    if changed:
        said = f"{', '.join(changed)} changed since an earlier attempt: it starts again from nothing"
        log.warning("%s: %s", folder.name, said)
        log_attempt(folder, started_again=said)
        remove(folder / CHECKPOINTS)
    if changed or not path.exists():
        write_json(path, found)
    return found


def _end(one: Begun, metrics: dict[str, Any], is_main: bool) -> Outcome:
    if is_main:
        content = {
            "id": one.job["id"],
            "metrics": metrics,
            "intervals": one.run.intervals,
            **({"skipped_steps": one.run.skipped_steps} if one.run.skipped_steps else {}),
            **({"protocol": one.run.protocol} if one.run.protocol else {}),
            "inputs_finished": one.inputs_finished,
            "fingerprints": one.run.fingerprints,
            "seconds": round(time.monotonic() - one.started, 2),
            "finished": now(),
        }
        write_result(one.folder, content)
        _tidy(one.folder)
    return "done"


def _end_without(folder: Path, error: Exception, is_main: bool) -> Outcome:
    """End a job that was stopped or failed."""
    from caebench.stages import Interrupted

    if isinstance(error, LeaseLost):  # what is in the folder is another holder's
        log.error("%s", error)
        return "failed"
    if not isinstance(error, Interrupted):
        record_error(folder, error)
        return "failed"
    log.warning("%s: %s", folder.name, error)
    if is_main:
        log_attempt(folder, stopped_by=error.signal)
    return "stopped"


def require_inputs(inputs: Mapping[str, Path], store: Store) -> None:
    """Check that the inputs are done, with inputs of theirs that have not changed since.

    Raises:
        ValueError: an input job is not done.
    """
    for role, folder in inputs.items():
        if store.state_at(folder) != "done":
            why = store.changed_input(folder) or "it has no result"
            raise ValueError(
                f"input '{role}': {folder.name} is not done: {why}. Run it first: caebench run job {id_in(folder.name)}"
            )


def _tidy(folder: Path) -> None:
    """Delete a finished job's checkpoints and what resuming needs; its outputs are in its folder."""
    for name in (INPUTS, RESULT + DAMAGED):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / CHECKPOINTS).glob("*"):
        path.unlink()
    if (folder / CHECKPOINTS).exists():
        (folder / CHECKPOINTS).rmdir()


def join(site: Site) -> Any:
    """This process's group."""
    from caebench.stages import join_group

    return join_group(site.device)


def device_name(device: Any) -> str:
    """The device's name, for the record."""
    from caebench.stages import device_name as name_device

    return name_device(device)
