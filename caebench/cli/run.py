"""`caebench run`: a suite, or one job."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import ScaleOption, SeedsOption, SiteOption, StoreOption, SuiteName, parse_seeds

if TYPE_CHECKING:
    from caebench.cli.setup import Setup
    from caebench.execution.local import Outcomes
    from caebench.plan.graph import Job


def run_suite(
    suite: SuiteName,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Jobs at once, here. Default: one a GPU or core.")
    ] = None,
    pack: Annotated[
        int | None, typer.Option("--pack", min=2, help="Small jobs at once on a GPU; on SLURM, as one job of it.")
    ] = None,
    parallelism: Annotated[int | None, typer.Option("--parallelism", min=1, help="Jobs of an array at once.")] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="No two probes of an encoder in one pass of it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be submitted to SLURM.")] = False,
    dirty: Annotated[bool, typer.Option("--dirty", help="Submit uncommitted changes; marks every result.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a large run.")] = False,
) -> None:
    """Run every job of a suite that is not done; `all` runs every suite. Here, or through SLURM if the site has one.

    Here it prints the suite's table at the end. With SLURM it submits what is missing, prints ids and ends at once.
    """
    from caebench.cli.inspect import print_plan
    from caebench.cli.report import print_reports
    from caebench.cli.setup import set_up
    from caebench.execution.preflight import refuse_hopeless

    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    if pack and setup.site.slurm is None:
        jobs = jobs or _packed(pack, setup.site.device)
    missing = [job for job in setup.plans.jobs if setup.store.state(job) != "done"]
    refuse_hopeless(missing, setup.site, setup.store)
    if missing and not dry_run and (setup.scale.name != "nano" or setup.site.slurm is not None):
        print_plan(setup, details=False)
        if not yes and not typer.confirm("Submit it?" if setup.site.slurm else "Run it here?"):
            raise typer.Exit(2)
    if setup.site.slurm is not None:
        submit(setup, setup.plans.jobs, parallelism, dirty, dry_run, separate, pack)
        return
    outcomes = run_here(setup, setup.plans.jobs, jobs, separate)
    print_reports(setup, parse_seeds(seeds))
    counts = {kind: outcomes.count(kind) for kind in ("done", "cached", "failed", "blocked", "stopped")}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items() if number))
    if outcomes.count("failed", "blocked", "stopped"):
        print(f"Not finished. `caebench status {suite}` says why; the same command goes on.")
        raise typer.Exit(1)


def run_here(setup: "Setup", jobs: "list[Job]", num_parallel: int | None, separate: bool = False) -> "Outcomes":
    """Run jobs on this machine, and show them at work."""
    from caebench.cli.show import JobDisplay
    from caebench.execution.local import run_plan

    with JobDisplay(len(jobs)) as watcher:
        num_parallel = num_parallel or _default_parallel(setup.site.device)
        return run_plan(jobs, setup.store, setup.site, watcher, num_parallel, separate)


def submit(
    setup: "Setup",
    jobs: "list[Job]",
    parallelism: int | None,
    dirty: bool,
    dry_run: bool = False,
    separate: bool = False,
    pack: int | None = None,
) -> None:
    """Submit what is missing of some jobs, print ids, and leave."""
    from caebench.cli.show import print_table
    from caebench.execution.slurm import Cluster, take_code

    cluster = Cluster(setup.site, setup.store, parallelism, separate, pack)
    if dry_run:
        print("\n".join(cluster.files(jobs)), end="")
        return
    ids = cluster.submit(jobs, take_code(setup.store, dirty))
    print_table("Submitted", ["job", "SLURM id"], [[job.name, ids[job.id]] for job in jobs if job.id in ids])
    waiting = sum(cluster.holds(job) for job in jobs)
    status = f"caebench status {setup.plans.name}".rstrip()  # a retry of one job has no suite
    print(f"{len(ids)} submitted, {waiting} were in the queue already. `{status}` follows them.")


def run_one_job(
    job: Annotated[str, typer.Argument(help="A job's id, or its beginning; or its folder.")],
    site: SiteOption = "local",
    store: StoreOption = None,
) -> None:
    """Run one job that a plan has prepared, in this process; under torchrun, in all of them."""
    from caebench.cli.setup import open_store
    from caebench.config.site import load_site
    from caebench.execution.logs import write_plain_logs
    from caebench.execution.worker import run_job
    from caebench.plan.files import read_json
    from caebench.plan.lease import Held
    from caebench.plan.store import FAILURE, folder_state

    write_plain_logs()
    where = load_site(site)
    jobs = open_store(where, store)
    folder = Path(job) if Path(job).is_dir() else jobs.find(job)
    if folder_state(folder) == "done":
        print(f"{folder.name}: done already")
        return
    try:
        outcome = run_job(folder, jobs.root, where)
    except Held as error:
        raise ValueError(str(error)) from error
    print(f"{folder.name}: {outcome}")
    if outcome == "failed" and (folder / FAILURE).exists():  # not there on a full disk, or in another process
        print(f"error: {read_json(folder / FAILURE)['error']}")
    if outcome != "done":
        raise typer.Exit(1)


def _packed(pack: int, device: str) -> int:
    """Jobs at once where each GPU takes several.

    Raises:
        ValueError: there is no GPU.
    """
    from caebench.execution.devices import visible_gpus

    if device == "cpu" or not (gpus := visible_gpus()):
        raise ValueError(f"--pack {pack}: there is no GPU here to share. Give --jobs, or --site with [slurm].")
    return pack * len(gpus)


def _default_parallel(device: str) -> int:
    """One job a GPU, else one a core and at most four: nano jobs are too small to fill more cores."""
    from caebench.execution.devices import visible_gpus

    if device != "cpu" and (gpus := visible_gpus()):
        return len(gpus)
    return min(4, os.cpu_count() or 1)
