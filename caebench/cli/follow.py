"""Verbs for jobs that were started before: `logs`, `cancel`, `retry`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import ScaleOption, SeedsOption, SiteOption, StoreOption, parse_seeds

if TYPE_CHECKING:
    from caebench.cli.setup import Setup
    from caebench.plan.graph import Job

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
    """Take jobs out of SLURM's queue, after asking. What they have saved stays, and `run suite` goes on from it."""
    from caebench.execution.queue import cancel as scancel
    from caebench.execution.queue import see
    from caebench.plan.lease import holder

    folders = _folders(name, scale, seeds, site, store)
    queue = see(folders)
    held = {str(holder(folder).get("slurm")): folder for folder in folders}
    found = {slurm_id: folder for slurm_id, folder in held.items() if queue and slurm_id in queue.queued}
    if not found:
        print(f"{name}: nothing of it is in the queue")
        return
    for slurm_id, folder in found.items():
        print(f"{slurm_id:>12}  {folder.parent.name}/{folder.name}")
    if not yes and not typer.confirm(f"Cancel these {len(found)} jobs?"):
        raise typer.Exit(2)
    scancel(found)
    print(f"{len(found)} cancelled")


def _folders(name: str, scale: str | None, seeds: str, site: str, store: Path | None) -> list[Path]:
    """The folders of a suite's jobs, or of one job."""
    from caebench import suites
    from caebench.cli.setup import open_store, set_up
    from caebench.config.site import load_site

    if name == suites.ALL or name in suites.names() or name.endswith(".toml"):
        setup = set_up(name, scale, site, store, parse_seeds(seeds))
        return [setup.store.folder(job) for job in setup.plans.jobs]
    return [open_store(load_site(site), store).find(name)]


def retry(
    suite: Annotated[str, typer.Argument(help="A suite, or `all`.")],
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    dirty: Annotated[bool, typer.Option("--dirty", help="Submit uncommitted changes; marks every result.")] = False,
) -> None:
    """Run again what failed, was cancelled or was lost, and what waits on it; nothing else."""
    from caebench.cli.run import run_here, submit
    from caebench.cli.setup import set_up

    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    jobs = _broken(setup)
    if not jobs:
        print(f"{suite}: nothing of it has failed")
    elif setup.site.slurm is not None:
        submit(setup, jobs, None, dirty)
    elif run_here(setup, _with_inputs(setup, jobs), None).count("failed", "blocked", "stopped"):
        raise typer.Exit(1)


def _with_inputs(setup: "Setup", jobs: "list[Job]") -> "list[Job]":
    """Some jobs of a plan and all that they rest on: a run here must know of what is done."""
    wanted = {known.id for job in jobs for known in (job, *job.ancestors())}
    return [job for job in setup.plans.jobs if job.id in wanted]


def _broken(setup: "Setup") -> "list[Job]":
    """Jobs that have failed, and those that rest on them, inputs first."""
    from caebench.execution.queue import see
    from caebench.plan.standing import standing

    folders = {job.id: setup.store.folder(job) for job in setup.plans.jobs}
    queue = see(folders.values())
    broken: set[str] = set()
    for job in setup.plans.jobs:
        state, _ = standing(folders[job.id], queue) if folders[job.id].exists() else ("todo", "")
        rests = any(parent.id in broken for parent in job.inputs.values())
        if state in ("failed", "cancelled", "lost") or (rests and state not in ("queued", "running")):
            broken.add(job.id)
    return [job for job in setup.plans.jobs if job.id in broken]
