"""Verbs for jobs that were started earlier: `logs`, `cancel`, `retry`."""

import codecs
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import (
    PlainSiteOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    command,
    parse_seeds,
    reject_for_a_job,
    reject_options,
    say,
    scale_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from caebench.execution.schedulers.base import SchedulerSilent
    from caebench.planning.setup import Setup
    from caebench.specs.job import Job
    from caebench.store.queue import QueueSnapshot
    from caebench.store.state import Statuses
    from caebench.store.store import Store

JobName = Annotated[str, typer.Argument(help="A job's id, or a prefix of it.", autocompletion=completion.jobs)]
Target = Annotated[
    str,
    typer.Argument(
        help="A suite, `all`, or a job's id.", metavar="SUITE|JOB", autocompletion=completion.suites_and_jobs
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
READ_EVERY = 1.0  # seconds between two looks at a log that is followed
ASK_EVERY = 10.0  # seconds between two queries of the queue meanwhile; a login node has many followers


def logs(
    job: JobName,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Keep printing until the job leaves the queue.")
    ] = False,
    site: PlainSiteOption = "local",
    store: StoreOption = None,
) -> None:
    """Print a job's SLURM logs; with -f, wait for a job that is queued, and outlive a scheduler that is silent."""
    from caebench.execution.schedulers.registry import log_files
    from caebench.planning.setup import open_store
    from caebench.specs.site import load_site

    where = open_store(load_site(site, broken_plugins=True), store)
    folder = where.find(job)
    readers: dict[Path, TailReader] = {}
    said, queue = "", RecentQueue(folder)
    while True:
        is_queued, words = (
            _in_queue(where, folder, queue) if follow else (False, "")
        )  # first: so the last lines are read
        for path in log_files(folder, where.root):
            say(readers.setdefault(path, TailReader(path)).read(), end="")
        if words and words != said:
            say(words, to=sys.stderr)
        said = words
        if not is_queued:
            break
        time.sleep(READ_EVERY)
    if not readers:
        raise ValueError(
            f"{folder.name}: has no log. It has not run, or it ran on this machine and printed to the terminal."
        )


class TailReader:
    """Reads what is new in a file, also in the middle of a character."""

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, 0
        self.decoder = codecs.getincrementaldecoder("utf8")(errors="replace")

    def read(self) -> str:
        """The text since the last call."""
        with self.path.open("rb") as file:
            file.seek(self.position)
            new = file.read()
        self.position += len(new)
        return self.decoder.decode(new).replace("\r\n", "\n").replace("\r", "\n")  # which progress bars leave


class RecentQueue:
    """What the schedulers said of a job, asked again after some seconds: a queue changes less often than a log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, -math.inf
        self.found: Mapping[str, QueueSnapshot] | SchedulerSilent = {}

    def statuses(self, store: "Store", latest: bool = False) -> "Statuses":
        """States from the records now, and from the last answer; or, if it should be the latest, from a new one.

        Raises:
            SchedulerSilent: there was no answer.
        """
        from caebench.execution.schedulers.base import SchedulerSilent
        from caebench.execution.schedulers.registry import query
        from caebench.store.state import Statuses

        if latest or time.monotonic() - self.asked >= ASK_EVERY:
            try:
                self.found = query([self.folder])
            except SchedulerSilent as error:
                self.found = error
            self.asked = time.monotonic()
        if isinstance(self.found, SchedulerSilent):
            raise self.found
        return Statuses(store, self.found)


def _in_queue(store: "Store", folder: Path, queue: RecentQueue) -> tuple[bool, str]:
    """Whether a job waits or runs, and what its follower should know: that it waits, or that nobody answers."""
    from caebench.execution.schedulers.base import SchedulerSilent
    from caebench.store.holders import holder_id
    from caebench.store.state import IN_QUEUE

    try:
        statuses = queue.statuses(store)
        if statuses.of(folder)[0] not in (*IN_QUEUE, "done", "failed"):  # it may have been submitted again
            statuses = queue.statuses(store, latest=True)
    except SchedulerSilent as error:
        return True, f"{error} Asking again."
    state, reason = statuses.of(folder)
    holder = holder_id(folder)
    if state in ("queued", "held") and holder and (snapshot := statuses.snapshot_of(holder)):
        return True, f"waiting: {snapshot.title} job {holder.id} is pending ({reason})"
    return state in IN_QUEUE, ""


def cancel(
    name: Target,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    yes: YesOption = False,
) -> None:
    """Cancel jobs in SLURM's queue, after asking. Checkpoints are kept, and `run suite` resumes from them.

    Probes in a shared-encoder pass are one SLURM job, and so are the jobs of a pack: all of them are cancelled.
    """
    from caebench.execution.schedulers.registry import cancel as cancel_queued
    from caebench.execution.schedulers.registry import queued_holders
    from caebench.files.layout import LEASE, name_of
    from caebench.planning.setup import find_folders, open_store
    from caebench.specs.site import load_site
    from caebench.store.holders import holder_id
    from caebench.store.judging import judge
    from caebench.store.lease import mark_cancelled

    scale = scale_name(scale, real)
    reject_for_a_job(name, scale, seeds)
    folders, _ = find_folders(name, scale, site, store, parse_seeds(seeds))
    queued = queued_holders(folders)
    if not queued:
        _reject_local_jobs(folders)
        say(f"{name}: no job of it is in the queue")
        for folder in folders:
            if (held := judge(folder / LEASE)).is_live:
                say(f"{name_of(folder)}: {held.words}")
        return
    everywhere = open_store(load_site(site), store).folders()
    found = [(holder, folder) for folder in everywhere if (holder := holder_id(folder)) and holder in queued]
    for holder, folder in found:
        say(f"{holder.id:>12}  {name_of(folder)}")
    if not yes and not typer.confirm(f"Cancel these {len(found)} jobs?"):
        raise typer.Exit(2)
    cancel_queued(queued)
    for holder, folder in found:
        mark_cancelled(folder, holder)
    print(f"{len(found)} cancelled")


def _reject_local_jobs(folders: "list[Path]") -> None:
    """Check that no job runs in a process without a scheduler, which this verb cannot cancel.

    Raises:
        ValueError: one does.
    """
    from caebench.files.layout import LEASE, name_of
    from caebench.store.holders import holder, holder_id
    from caebench.store.judging import is_live

    for folder in folders:
        lease = holder(folder)  # empty if it is damaged, or being written
        if lease and holder_id(folder) is None and is_live(folder / LEASE):
            pid, host = lease.get("pid"), lease.get("host")
            raise ValueError(
                f"{name_of(folder)}: runs in process {pid} on {host}, not in a queue. Stop it there with Ctrl-C or "
                f"`kill {pid}`; it saves, and the next run resumes it."
            )


def retry(
    name: Target,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    dirty: Annotated[bool, typer.Option("--dirty", help="Submit uncommitted changes; marks every result.")] = False,
) -> None:
    """Rerun jobs that failed, were cancelled or were lost, and their dependents; nothing else.

    Given a job, rerun only that job and its dependents in the store.
    """
    from caebench.cli.run import run_here, runs_here, submit
    from caebench.execution.devices import default_parallel
    from caebench.execution.schedulers.base import SubmitOptions
    from caebench.planning.setup import is_suite, set_up

    scale = scale_name(scale, real)
    reject_for_a_job(name, scale, seeds)
    if is_suite(name):
        setup = set_up(name, scale, site, store, parse_seeds(seeds))
        jobs = _broken(setup.store, setup.plans.jobs)
    else:
        setup, jobs = _broken_from(name, site, store)
    if setup.site.scheduler is None:
        reject_options(runs_here(site), dirty=dirty)
    if not jobs:
        say(f"{name}: no job of it has failed")
        return
    status = command("status", name, scale=scale, seeds=seeds, site=site, store=store)
    if setup.site.scheduler is not None:
        submit(setup, jobs, SubmitOptions(), dirty, status)
    elif run_here(setup, _inputs_first(jobs), default_parallel(setup.site.device)).count(
        "failed", "blocked", "stopped"
    ):
        print(f"Not finished. `{status}` says why.")
        raise typer.Exit(1)


def _inputs_first(jobs: "list[Job]") -> "list[Job]":
    """Some jobs and all their dependencies, each once: a local run needs the finished ones too."""
    return list({known.id: known for job in jobs for known in (*job.ancestors(), job)}.values())


def _broken(store: "Store", jobs: "list[Job]") -> "list[Job]":
    """The failed ones among some jobs (inputs first), and their dependents."""
    from caebench.store.state import IN_QUEUE

    states = _states(store, jobs)
    broken: set[str] = set()
    for job in jobs:
        state, depends = states[job.id], any(parent.id in broken for parent in job.parents)
        if state in ("failed", "damaged", "cancelled", "lost") or (depends and state not in IN_QUEUE):
            broken.add(job.id)
    return [job for job in jobs if job.id in broken]


def _broken_from(name: str, site_name: str, at: Path | None) -> "tuple[Setup, list[Job]]":
    """A failed job, and those dependents whose other dependencies are present."""
    from caebench.planning.graph import Plans
    from caebench.planning.scale import find_scale
    from caebench.planning.setup import Setup, open_store
    from caebench.specs.site import load_site
    from caebench.store.state import IN_QUEUE

    site = load_site(site_name)
    store = open_store(site, at)
    folder = store.find(name)
    known = _inputs_first([store.read_job(folder), *_readable(store, store.dependents(folder))])
    states = _states(store, known)
    job = next(one for one in known if store.folder(one) == folder)
    if states[job.id] == "blocked":
        broken = [one for one in job.ancestors() if states[one.id] in ("failed", "damaged", "unknown", "lost")]
        names, first = ", ".join(one.name for one in broken), command("retry", broken[0].id, site=site_name, store=at)
        raise ValueError(f"{job.name}: blocked by {names}. Retry that job, and its dependents with it: {first}")
    present = {one.id for one in known if states[one.id] in ("done", *IN_QUEUE)}
    chosen: list[Job] = []
    for one in _broken(store, [one for one in known if job.id in (one.id, *(below.id for below in one.ancestors()))]):
        if {parent.id for parent in one.parents} <= present | {other.id for other in chosen}:
            chosen.append(one)
    return Setup(site, store, Plans("", ()), find_scale(site.scale)), chosen


def _readable(store: "Store", folders: "Sequence[Path]") -> "list[Job]":
    """The jobs of some folders; one that cannot be read is left out, and said.

    Raises:
        DriftError: one would be another job today.
    """
    from caebench.store.store import DriftError

    found: list[Job] = []
    for folder in folders:
        try:
            found.append(store.read_job(folder))
        except DriftError:
            raise
        except ValueError as error:
            say(f"left out: {error}", to=sys.stderr)
    return found


def _states(store: "Store", jobs: "list[Job]") -> dict[str, str]:
    """Each job's state by its id."""
    from caebench.execution.schedulers.registry import query
    from caebench.store.state import Statuses

    folders = {job.id: store.folder(job) for job in jobs}
    statuses = Statuses(store, query(folders.values()))
    return {key: statuses.of(folder)[0] if folder.exists() else "todo" for key, folder in folders.items()}
