"""Verbs for jobs that were started before: `logs`, `cancel`, `retry`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import ScaleOption, SeedsOption, SiteOption, StoreOption, parse_seeds

if TYPE_CHECKING:
    from caebench.cli.setup import Setup
    from caebench.plan.graph import Job
    from caebench.plan.store import Store

JobName = Annotated[str, typer.Argument(help="A job's id, or its beginning.")]
Target = Annotated[str, typer.Argument(help="A suite, `all`, or a job's id.", metavar="SUITE|JOB")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
FOLLOW_EVERY = 1.0  # seconds


def logs(
    job: JobName,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on printing until the job leaves the queue.")
    ] = False,
    site: SiteOption = "local",
    store: StoreOption = None,
) -> None:
    """Print what a job has written: its SLURM logs, or why it failed."""
    from caebench.cli.setup import open_store
    from caebench.config.site import load_site
    from caebench.report.progress import log_files

    where = open_store(load_site(site), store)
    folder = where.find(job)
    paths = log_files(folder, where.root)
    if not paths:
        raise ValueError(
            f"{folder.name}: has no log: it has not run, or on this machine, where it prints to the terminal."
        )
    read: dict[Path, int] = {}
    while True:
        for path in paths:
            text = path.read_text(encoding="utf8", errors="replace")
            print(text[read.get(path, 0) :], end="", flush=True)
            read[path] = len(text)
        if not follow or not _is_queued(folder):
            return
        time.sleep(FOLLOW_EVERY)


def _is_queued(folder: Path) -> bool:
    from caebench.execution.queue import see
    from caebench.plan.standing import standing

    return standing(folder, see([folder]))[0] in ("queued", "running")


def cancel(
    name: Target,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    yes: YesOption = False,
) -> None:
    """Take jobs out of SLURM's queue, after asking. What they have saved stays, and `run suite` goes on from it.

    Probes that share a pass are one SLURM job, and go together.
    """
    from caebench.cli.setup import find_folders, open_store
    from caebench.config.site import load_site
    from caebench.execution.queue import cancel as scancel
    from caebench.execution.queue import see
    from caebench.plan.lease import holder, mark_cancelled

    folders, _ = find_folders(name, scale, site, store, parse_seeds(seeds))
    queue = see(folders)
    ids = {str(holder(folder).get("slurm")) for folder in folders} & set(queue.queued if queue else ())
    if not ids:
        print(f"{name}: nothing of it is in the queue")
        return
    everywhere = open_store(load_site(site), store).folders()
    found = [(slurm_id, folder) for folder in everywhere if (slurm_id := str(holder(folder).get("slurm"))) in ids]
    for slurm_id, folder in found:
        print(f"{slurm_id:>12}  {folder.parent.name}/{folder.name}")
    if not yes and not typer.confirm(f"Cancel these {len(found)} jobs?"):
        raise typer.Exit(2)
    scancel(ids)
    for slurm_id, folder in found:
        mark_cancelled(folder, slurm_id)
    print(f"{len(found)} cancelled")


def retry(
    name: Target,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    dirty: Annotated[bool, typer.Option("--dirty", help="Submit uncommitted changes; marks every result.")] = False,
) -> None:
    """Run again what failed, was cancelled or was lost, and what waits on it; nothing else.

    Given a job, only that one and what waits on it, of all that the store knows.
    """
    from caebench.cli.run import run_here, submit
    from caebench.cli.setup import is_suite, set_up

    if is_suite(name):
        setup = set_up(name, scale, site, store, parse_seeds(seeds))
        jobs = _broken(setup.store, setup.plans.jobs)
    else:
        setup, jobs = _broken_from(name, site, store)
    if not jobs:
        print(f"{name}: nothing of it has failed")
    elif setup.site.slurm is not None:
        submit(setup, jobs, None, dirty)
    elif run_here(setup, _inputs_first(jobs), None).count("failed", "blocked", "stopped"):
        raise typer.Exit(1)


def _inputs_first(jobs: "list[Job]") -> "list[Job]":
    """Some jobs and all that they rest on, each once: a run here must know of what is done."""
    return list({known.id: known for job in jobs for known in (*job.ancestors(), job)}.values())


def _broken(store: "Store", jobs: "list[Job]") -> "list[Job]":
    """Of some jobs, inputs first, those that have failed, and those that rest on them."""
    states = _states(store, jobs)
    broken: set[str] = set()
    for job in jobs:
        rests = any(parent.id in broken for parent in job.parents)
        if states[job.id] in ("failed", "cancelled", "lost") or (rests and states[job.id] not in ("queued", "running")):
            broken.add(job.id)
    return [job for job in jobs if job.id in broken]


def _broken_from(name: str, site_name: str, at: Path | None) -> "tuple[Setup, list[Job]]":
    """A job that has failed, and what rests on it and on nothing else that is missing."""
    from caebench.cli.setup import Setup, open_store
    from caebench.config.site import load_site
    from caebench.plan.graph import Plans
    from caebench.plan.scale import find_scale

    site = load_site(site_name)
    store = open_store(site, at)
    folder = store.find(name)
    known = _inputs_first([store.read_job(path) for path in (folder, *store.resting_on(folder))])
    states = _states(store, known)
    job = next(one for one in known if store.folder(one) == folder)
    if states[job.id] == "blocked":
        names = ", ".join(one.name for one in job.ancestors() if states[one.id] in ("failed", "lost"))
        raise ValueError(f"{job.name}: blocked by {names}. Retry that: what waits on it goes along.")
    present = {one.id for one in known if states[one.id] in ("done", "queued", "running")}
    chosen: list[Job] = []
    for one in _broken(store, [one for one in known if job.id in (one.id, *(below.id for below in one.ancestors()))]):
        if {parent.id for parent in one.parents} <= present | {other.id for other in chosen}:
            chosen.append(one)
    return Setup(site, store, Plans("", ()), find_scale(site.scale)), chosen


def _states(store: "Store", jobs: "list[Job]") -> dict[str, str]:
    """Each job's state by its id."""
    from caebench.execution.queue import see
    from caebench.plan.standing import standing

    folders = {job.id: store.folder(job) for job in jobs}
    queue = see(folders.values())
    return {key: standing(folder, queue)[0] if folder.exists() else "todo" for key, folder in folders.items()}
