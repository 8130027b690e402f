"""Submit a plan to SLURM through submitit and exit: ids go into the jobs' leases, and no process stays alive."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from caebench.execution.schedulers.base import SubmitOptions, Submitter
from caebench.execution.schedulers.slurm import queue
from caebench.execution.schedulers.slurm.pack import Pack
from caebench.execution.schedulers.slurm.payload import Payload
from caebench.execution.schedulers.slurm.sbatch import make_executor, make_log_folder, parameters, submitting
from caebench.execution.schedulers.slurm.submissions import Submission, bundle
from caebench.execution.snapshot import read_facts
from caebench.planning.packs import find_packs
from caebench.planning.passes import JobGroups, find_passes
from caebench.specs.job import Job
from caebench.specs.site import Site
from caebench.specs.slurm import Slurm, check_store
from caebench.store.holders import HolderId, holder, holder_id
from caebench.store.judging import Holding
from caebench.store.lease import LeaseTaken, acquire, hand_over, release
from caebench.store.store import Store

if TYPE_CHECKING:
    from submitit import AutoExecutor

OTHERS = 60.0  # seconds for another concurrent submitter to write a job's id


class Cluster(Submitter):
    """A site's SLURM, with one snapshot of its queue."""

    def __init__(self, site: Site, store: Store, options: SubmitOptions | None = None) -> None:
        assert site.slurm is not None, "only a site with [slurm] is a cluster"
        check_store(store.root)
        self.site, self.store, self.slurm = site, store, site.slurm
        self.options = options or SubmitOptions()
        self.submitted: Mapping[str, Any] | None = None  # the code that the payloads must run; None: any
        self.snapshot = queue.snapshot_now()
        self.refused: dict[str, Holding] = {}

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that are neither done nor pending or running."""
        return [job for job in jobs if self.store.state(job) != "done" and not self.is_queued(job)]

    def is_queued(self, job: Job) -> bool:
        """Whether a job was in the queue."""
        job_id = self._id_of(job)
        return job_id is not None and self.snapshot.can_run(job_id)

    def _complete_snapshot(self, jobs: Sequence[Job]) -> None:
        """Look twice for jobs that were submitted and are not in the queue: none of them may run a second time."""
        left = [job_id for job in jobs if (job_id := self._id_of(job)) and self.store.state(job) != "done"]
        self.snapshot = queue.complete(self.snapshot, left)

    def _id_of(self, job: Job) -> str | None:
        """The SLURM id of a job; None if it was not submitted to SLURM."""
        found = holder_id(self.store.folder(job))
        return found.id if found and found.scheduler == queue.NAME else None

    def submit(self, jobs: Sequence[Job], code: Path | None) -> dict[str, str]:
        """Submit the missing jobs of a plan; returns the SLURM id of each job, by the job's.

        Raises:
            ValueError: a batch cannot be divided over the processes of its job, or sbatch rejects a job.
            SchedulerSilent: SLURM does not answer.
        """
        self._complete_snapshot(jobs)
        missing = self.missing(jobs)
        check_batches(missing, self.slurm)
        self.submitted = read_facts(code) if code else None
        mine = {job.id: job for job in missing if self._acquire(job)}
        ids: dict[str, str] = {}
        groups = self._groups(list(mine.values()))
        try:
            for submission in bundle(
                list(mine.values()), self._shape, self.slurm.max_array, self._of_others(mine), groups.all
            ):
                known = {parent.id: self._wait_for_id(parent) for parent in submission.waits if parent.id not in mine}
                known |= {parent.id: ids.get(parent.id) for parent in self._mine_before(submission, mine)}
                if None not in known.values():  # otherwise a parent is not queued, and the next run submits it
                    ids |= self._submit(submission, {k: v for k, v in {**known, **ids}.items() if v}, code, groups)
        finally:
            for job in mine.values():
                if job.id not in ids:
                    release(self.store.folder(job))
        return ids

    def _of_others(self, mine: Mapping[str, Job]) -> dict[str, Job]:
        """Unfinished dependencies of my jobs that are not mine: queued, or being submitted by somebody else."""
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
            if job_id := self._id_of(job):
                return job_id
            if not holder(self.store.folder(job)):
                return None
            time.sleep(0.2)
        return None

    def preview(self, jobs: Sequence[Job], code: Path | None) -> list[str]:
        """The sbatch files of the missing jobs, with names in place of ids that SLURM has not assigned yet."""
        self._complete_snapshot(jobs)
        missing = self.missing(jobs)
        check_batches(missing, self.slurm)
        ids = {job.id: job_id for job in jobs if self.is_queued(job) and (job_id := self._id_of(job))}
        waited = {job.id: job for job in jobs if job.id in ids}
        ids |= {job.id: f"<{job.name}>" for job in missing}
        texts: list[str] = []
        groups = self._groups(missing)
        for submission in bundle(missing, self._shape, self.slurm.max_array, waited, groups.all):
            executor = self._executor()
            executor.update_parameters(**self._parameters(submission, ids, code, groups))
            if len(submission.jobs) > 1:
                executor._executor.parameters["map_count"] = len(submission.jobs)  # pyright: ignore[reportPrivateUsage] as submitit does for an array
            text: str = executor._executor._make_submission_file_text("caebench's payload", "preview")  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] submitit has no public way to preview
            named = [" + ".join(one.name for one in groups.all.get(job.id, (job,))) for job in submission.jobs]
            texts.append(f"# {', '.join(named)}\n{text}")
        return texts

    def _acquire(self, job: Job) -> bool:
        try:
            acquire(self.store.prepare(job), snapshot=self.snapshot, purpose="submit")
        except LeaseTaken as taken:
            self.refused[job.id] = taken.holding
            return False
        return True

    def _shape(self, job: Job) -> tuple[str, str]:
        return job.kind, self._place(job)

    def _groups(self, jobs: Sequence[Job]) -> "Groups":
        """Packs of small jobs, and shared-encoder passes of other jobs whose kinds have the same resources."""
        passes: JobGroups = {} if self.options.separate else find_passes(jobs, self._place)
        packs: JobGroups = find_packs(jobs, self._place_of_one, pack, passes) if (pack := self.options.pack) else {}
        return Groups(packs, {key: group for key, group in passes.items() if key not in packs})

    def _place(self, job: Job) -> str:
        return self.slurm.of(job.kind).model_dump_json()

    def _place_of_one(self, job: Job) -> str | None:
        """The resources of a job with one process; None for a larger one."""
        return self._place(job) if self.slurm.of(job.kind).num_processes == 1 else None

    def _submit(
        self, submission: Submission, ids: Mapping[str, str], code: Path | None, groups: "Groups"
    ) -> dict[str, str]:
        """Run one sbatch, and write the ids into the leases immediately."""
        make_log_folder(self.store.root)
        executor = self._executor()
        executor.update_parameters(**self._parameters(submission, ids, code, groups))
        members = [groups.all.get(job.id, (job,)) for job in submission.jobs]
        payloads = [self._payload(group, groups) for group in members]
        with submitting():
            if len(payloads) == 1:
                found = [executor.submit(payloads[0])]
            else:
                with executor.batch():
                    found = [executor.submit(payload) for payload in payloads]
        ids_given = {job.id: one.job_id for group, one in zip(members, found, strict=True) for job in group}
        for job in (job for group in members for job in group):
            purpose = "pack" if job.id in groups.packs else "run"
            hand_over(self.store.folder(job), HolderId(queue.NAME, ids_given[job.id]), purpose)
        return ids_given

    def _payload(self, group: Sequence[Job], groups: "Groups") -> Payload:
        folders = [self.store.folder(job) for job in group]
        if self.options.pack and group[0].id in groups.packs:
            return Pack(folders, self.store.root, self.site, self.options.pack, self.options.separate, self.submitted)
        return Payload(folders, self.store.root, self.site, self.submitted)

    def _parameters(
        self, submission: Submission, ids: Mapping[str, str], code: Path | None, groups: "Groups"
    ) -> dict[str, Any]:
        asked = parameters(self.slurm.of(submission.jobs[0].kind), submission, ids, code)
        name = {"name": "caebench-pack"} if submission.jobs[0].id in groups.packs else {}
        return asked | name | ({"slurm_array_parallelism": at_once} if (at_once := self.options.parallelism) else {})

    def _executor(self) -> "AutoExecutor":
        return make_executor(self.slurm, self.store.root)


class Groups(NamedTuple):
    """The groups of jobs that run as one SLURM job."""

    packs: JobGroups  # small jobs that run concurrently
    passes: JobGroups  # probes in one shared-encoder pass

    @property
    def all(self) -> JobGroups:
        """All groups, by the ids of their jobs."""
        return {**self.packs, **self.passes}


def check_batches(jobs: Sequence[Job], slurm: Slurm) -> None:
    """Check, before anything is submitted, that every batch can be divided over the processes of its job.

    Raises:
        ValueError: a global batch is not a multiple of their number.
    """
    for job in jobs:
        batch = getattr(getattr(job.config, "optimization", None), "global_batch", None)
        processes = slurm.of(job.kind).num_processes
        if batch is not None and batch % processes:
            raise ValueError(
                f"{job.name}: a global batch of {batch} cannot be divided over {processes} processes. Give "
                f"[slurm.stages.{job.kind}] nodes and gpus_per_node whose product divides it."
            )
