"""Submit a plan to SLURM through submitit, and leave: ids go into the jobs' leases, nothing stays alive."""

import os
import re
import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.config.site import Site, Slurm
from caebench.execution import queue, snapshot
from caebench.execution.pack import Pack
from caebench.execution.payload import Payload
from caebench.execution.submissions import Submission, bundle
from caebench.plan.graph import Job
from caebench.plan.lease import Held, acquire, hand_over, holder, release
from caebench.plan.packs import packs_of
from caebench.plan.passes import Units, units_of
from caebench.plan.store import Store

if TYPE_CHECKING:
    from submitit import AutoExecutor

SLICES = 1_000_000  # submitit stops requeueing after so many time limits; a plan never needs as many
OTHERS = 60.0  # seconds for somebody else, who submits at the same moment, to write a job's id
LOGS = "slurm"  # folder in the store: a flat one, which is there before any job starts


class Cluster:
    """A site's SLURM, with one look at its queue."""

    def __init__(
        self,
        site: Site,
        store: Store,
        parallelism: int | None = None,
        separate: bool = False,
        pack: int | None = None,
    ) -> None:
        assert site.slurm is not None, "only a site with [slurm] is a cluster"
        self.site, self.store, self.slurm, self.parallelism = site, store, site.slurm, parallelism
        self.separate = separate  # no two probes share a pass
        self.pack = pack  # jobs at once on a device, where they need no more than one
        self.look = queue.look_now()

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that are neither done nor pending or running."""
        return [job for job in jobs if self.store.state(job) != "done" and not self.holds(job)]

    def holds(self, job: Job) -> bool:
        """Whether a job is in the queue."""
        return str(holder(self.store.folder(job)).get("slurm")) in self.look.ids

    def submit(self, jobs: Sequence[Job], code: Path | None) -> dict[str, str]:
        """Submit what is missing of a plan; returns the SLURM id of each job, by the job's.

        Raises:
            ValueError: a batch cannot be shared out over the processes of its job, or sbatch refuses.
        """
        missing = self.missing(jobs)
        refuse_uneven(missing, self.slurm)
        mine = {job.id: job for job in missing if self._acquire(job)}
        ids: dict[str, str] = {}
        units = self._units(list(mine.values()))
        try:
            for submission in bundle(
                list(mine.values()), self._shape, self.slurm.max_array, self._of_others(mine), units.all
            ):
                known = {parent.id: self._wait_for_id(parent) for parent in submission.waits if parent.id not in mine}
                known |= {parent.id: ids.get(parent.id) for parent in self._mine_before(submission, mine)}
                if None not in known.values():  # otherwise a parent is nowhere: the next run submits it
                    ids |= self._submit(submission, {k: v for k, v in {**known, **ids}.items() if v}, code, units)
        finally:
            for job in mine.values():
                if job.id not in ids:
                    release(self.store.folder(job))
        return ids

    def _of_others(self, mine: Mapping[str, Job]) -> dict[str, Job]:
        """What my jobs rest on that is not done and not mine: in the queue, or being submitted by somebody else."""
        below = {ancestor.id: ancestor for job in mine.values() for ancestor in job.ancestors()}
        return {key: job for key, job in below.items() if key not in mine and self.store.state(job) != "done"}

    def _mine_before(self, submission: Submission, mine: Mapping[str, Job]) -> list[Job]:
        tied = [job for other in submission.after_each for job in other.jobs]
        return [parent for parent in (*submission.waits, *tied) if parent.id in mine]

    def _wait_for_id(self, job: Job) -> str | None:
        """The SLURM id of somebody else's job, `""` once it is done; None if there is none within a minute."""
        end = time.monotonic() + OTHERS
        while time.monotonic() < end:
            if self.store.state(job) == "done":
                return ""
            held = holder(self.store.folder(job))
            if held.get("slurm"):
                return str(held["slurm"])
            if not held:
                return None
            time.sleep(0.2)
        return None

    def files(self, jobs: Sequence[Job]) -> list[str]:
        """The sbatch files of what is missing, with names in place of ids that SLURM has yet to give."""
        missing = self.missing(jobs)
        ids = {job.id: str(holder(self.store.folder(job))["slurm"]) for job in jobs if self.holds(job)}
        waited = {job.id: job for job in jobs if job.id in ids}
        ids |= {job.id: f"<{job.name}>" for job in missing}
        texts: list[str] = []
        units = self._units(missing)
        for submission in bundle(missing, self._shape, self.slurm.max_array, waited, units.all):
            executor = self._executor()
            executor.update_parameters(**self._parameters(submission, ids, None, units))
            if len(submission.jobs) > 1:
                executor._executor.parameters["map_count"] = len(submission.jobs)  # pyright: ignore[reportPrivateUsage] as submitit does for an array
            text: str = executor._executor._make_submission_file_text("caebench's payload", "preview")  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] submitit has no public way to preview
            named = [" + ".join(one.name for one in units.all.get(job.id, (job,))) for job in submission.jobs]
            texts.append(f"# {', '.join(named)}\n{text}")
        return texts

    def _acquire(self, job: Job) -> bool:
        try:
            acquire(self.store.prepare(job), look=self.look, purpose="submit")
        except Held:
            return False
        return True

    def _shape(self, job: Job) -> tuple[str, str]:
        return job.kind, self._place(job)

    def _units(self, jobs: Sequence[Job]) -> "Together":
        """Small jobs in packs, and others that share a pass, where the site gives their kinds the same."""
        passes: Units = {} if self.separate else units_of(jobs, self._place)
        packs: Units = packs_of(jobs, self._place_of_one, self.pack, passes) if self.pack else {}
        return Together(packs, {key: unit for key, unit in passes.items() if key not in packs})

    def _place(self, job: Job) -> str:
        return self.slurm.of(job.kind).model_dump_json()

    def _place_of_one(self, job: Job) -> str | None:
        """What a job of one process asks of the cluster; None for a larger one."""
        return self._place(job) if self.slurm.of(job.kind).num_processes == 1 else None

    def _submit(
        self, submission: Submission, ids: Mapping[str, str], code: Path | None, units: "Together"
    ) -> dict[str, str]:
        """One sbatch; the ids are in the leases before anything else is done."""
        executor = self._executor()
        executor.update_parameters(**self._parameters(submission, ids, code, units))
        together = [units.all.get(job.id, (job,)) for job in submission.jobs]
        payloads = [self._payload(unit, units) for unit in together]
        with _own_environment(), _one_line():
            if len(payloads) == 1:
                found = [executor.submit(payloads[0])]
            else:
                with executor.batch():
                    found = [executor.submit(payload) for payload in payloads]
        ids_given = {job.id: one.job_id for unit, one in zip(together, found, strict=True) for job in unit}
        for job in (job for unit in together for job in unit):
            hand_over(self.store.folder(job), ids_given[job.id], "pack" if job.id in units.packs else "run")
        return ids_given

    def _payload(self, unit: Sequence[Job], units: "Together") -> Payload:
        folders = [self.store.folder(job) for job in unit]
        if self.pack and unit[0].id in units.packs:
            return Pack(folders, self.store.root, self.site, self.pack, self.separate)
        return Payload(folders, self.store.root, self.site)

    def _parameters(
        self, submission: Submission, ids: Mapping[str, str], code: Path | None, units: "Together"
    ) -> dict[str, Any]:
        asked = parameters(self.slurm.of(submission.jobs[0].kind), submission, ids, code)
        name = {"name": "caebench-pack"} if submission.jobs[0].id in units.packs else {}
        return asked | name | ({"slurm_array_parallelism": self.parallelism} if self.parallelism else {})

    def _executor(self) -> "AutoExecutor":
        from submitit import AutoExecutor

        folder = self.store.root / LOGS
        folder.mkdir(parents=True, exist_ok=True)
        command = interpreter(self.slurm, self.store.root)
        python = {"slurm_python": command} if command else {}
        return AutoExecutor(folder=folder, cluster="slurm", slurm_max_num_timeout=SLICES, **python)


class Together(NamedTuple):
    """Which jobs go as one SLURM job, and how they run there."""

    packs: Units  # side by side
    passes: Units  # behind one pass of their encoder

    @property
    def all(self) -> Units:
        """Each in its unit."""
        return {**self.packs, **self.passes}


def refuse_uneven(jobs: Sequence[Job], slurm: Slurm) -> None:
    """Refuse, before anything is submitted, a batch that the processes of a job cannot share.

    Raises:
        ValueError: the global batch is no multiple of their number.
    """
    for job in jobs:
        batch = getattr(getattr(job.config, "optimization", None), "global_batch", None)
        processes = slurm.of(job.kind).num_processes
        if batch is not None and batch % processes:
            raise ValueError(
                f"{job.name}: a global batch of {batch} cannot be shared by {processes} processes. Give [slurm.stages."
                f"{job.kind}] nodes and gpus_per_node whose product divides it."
            )


def interpreter(settings: Slurm, store: Path) -> str | None:
    """The command that runs a job's python; None: the interpreter that submits."""
    if settings.venv is not None:
        return "python"  # of the environment, once it is active
    if settings.container is not None:
        binds = ",".join([str(store), *settings.binds])
        return f"apptainer exec --nv --bind {shlex.quote(binds)} {shlex.quote(str(settings.container))} python"
    return settings.python


def parameters(settings: Slurm, submission: Submission, ids: Mapping[str, str], code: Path | None) -> dict[str, Any]:
    """submitit's words for what a submission asks."""
    kind = submission.jobs[0].kind if submission.jobs else "probe"
    activation = [f"source {shlex.quote(str(settings.venv / 'bin' / 'activate'))}"] if settings.venv else []
    path = [f'export PYTHONPATH="{code}${{PYTHONPATH:+:$PYTHONPATH}}"'] if code else []
    asked: dict[str, Any] = {
        "name": f"caebench-{kind}",
        "nodes": settings.nodes,
        "tasks_per_node": settings.tasks_per_node or max(1, settings.gpus_per_node),
        "cpus_per_task": settings.cpus_per_task,
        "timeout_min": settings.minutes,
        "slurm_signal_delay_s": settings.warning_seconds,
        "slurm_setup": [*settings.setup, *activation, *path],
        "slurm_srun_args": ["--kill-on-bad-exit=1", *settings.srun],  # a process that fails takes the others along
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


def dependency(submission: Submission, ids: Mapping[str, str]) -> str | None:
    """What must have succeeded first; parents that are done, by our own records, have no id here."""
    after = [ids[parent.id] for parent in submission.after if parent.id in ids]
    each = [re.sub(r"^(\d+)_\d+$", r"\1", ids[tied.jobs[0].id]) for tied in submission.after_each]
    ended = [ids[parent.id] for parent in submission.after_any if parent.id in ids]
    kinds = {"afterok": after, "afterany": ended, "aftercorr": each}
    return ",".join(":".join([kind, *found]) for kind, found in kinds.items() if found) or None


@contextmanager
def _own_environment() -> Generator[None]:
    """Inside another SLURM job, its variables would be taken for options of sbatch."""
    kept = ("SLURM_CONF",)
    hidden = {name: value for name, value in os.environ.items() if name.startswith("SLURM_") and name not in kept}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def _one_line() -> Generator[None]:
    """Make sbatch's refusal a user's error."""
    from submitit.core.utils import FailedJobError

    try:
        with redirect_stderr(StringIO()):  # submitit prints it besides
            yield
    except FailedJobError as error:
        said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        raise ValueError(f"{said}. Correct [slurm] in the site file; what was submitted before stays.") from error


def take_code(store: Store, dirty: bool) -> Path:
    """The snapshot that jobs submitted now will run."""
    return snapshot.take(store.root, dirty)
