"""`caebench run`: a suite, or one job."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import (
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    SuiteName,
    TakeOverOption,
    parse_seeds,
    reject_options,
    say,
    scale_name,
)
from caebench.cli.running import Asked, device_hours, look_ahead, print_header, summarise, summarise_stop

if TYPE_CHECKING:
    from caebench.execution.local import Outcomes
    from caebench.execution.schedulers.base import SubmitOptions, Submitter
    from caebench.planning.setup import Setup
    from caebench.specs.job import Job


JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Concurrent jobs on this machine. Default: one per GPU or core.")
]
PackOption = Annotated[
    int | None, typer.Option("--pack", min=2, help="Concurrent small jobs on a GPU; on SLURM, as one SLURM job.")
]
ParallelismOption = Annotated[
    int | None, typer.Option("--parallelism", min=1, help="Concurrent jobs of a SLURM array.")
]
SeparateOption = Annotated[bool, typer.Option("--separate", help="Run each probe without sharing encoder passes.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would run or be submitted, and do nothing.")]
DirtyOption = Annotated[bool, typer.Option("--dirty", help="Submit uncommitted changes; marks every result.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before a large run.")]


@dataclass(frozen=True)
class How:
    """How the jobs of a plan are run: options that `run suite` and `eval` share."""

    jobs: int | None = None
    pack: int | None = None
    parallelism: int | None = None
    separate: bool = False
    dry_run: bool = False
    dirty: bool = False
    yes: bool = False
    take_over: bool = False


def run_suite(
    suite: SuiteName,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    jobs: JobsOption = None,
    pack: PackOption = None,
    parallelism: ParallelismOption = None,
    separate: SeparateOption = False,
    dry_run: DryRunOption = False,
    dirty: DirtyOption = False,
    yes: YesOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Run every job of a suite that is not done, on this machine or through the site's SLURM; `all` runs every suite.

    On this machine it prints the suite's table at the end. With SLURM it submits the missing jobs and prints ids.
    """
    from caebench.planning.setup import set_up

    scale = scale_name(scale, real)
    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    how = How(jobs, pack, parallelism, separate, dry_run, dirty, yes, take_over)
    run_setup(setup, how, Asked(suite, scale, seeds, site, store))


def run_setup(setup: "Setup", how: How, asked: Asked) -> None:
    """Run or submit the missing jobs of a plan.

    Raises:
        ValueError: an option is not for this site, or something is missing.
        typer.Exit: the answer was no, or not all jobs are done.
    """
    from caebench.execution.preflight import preflight_jobs

    if setup.site.scheduler is not None:
        _submit_missing(setup, how, asked)
        return
    jobs, left_out = setup.store.runnable(setup.plans.jobs)
    reject_options(runs_here(asked.site), parallelism=how.parallelism, dirty=how.dirty)
    num_parallel = _num_parallel(how.jobs, how.pack, setup.site.device)
    missing = setup.store.to_run(jobs)
    preflight_jobs(missing, setup.site, setup.store)
    if how.dry_run:
        print_dry_run(missing, num_parallel, how.separate)
        _end_with(left_out)
        return
    forecast = look_ahead(setup, missing, num_parallel, how.separate).forecast
    print_header(setup, len(jobs), missing, str(forecast))
    is_large = setup.scale.name != "nano"
    _show_and_ask(setup, missing, "Run it here?", not how.yes and is_large, is_large or forecast.is_long)
    _end_leases(setup, missing, how.take_over)
    _end_run(setup, run_here(setup, jobs, num_parallel, how.separate), asked, left_out)
    _end_with(left_out)


def _submit_missing(setup: "Setup", how: How, asked: Asked) -> None:
    from caebench.execution.preflight import preflight_jobs
    from caebench.execution.schedulers.base import SubmitOptions

    why = f"site '{asked.site}' submits to a scheduler. Leave it out; --parallelism limits an array."
    reject_options(why, jobs=how.jobs)
    jobs, left_out = setup.store.runnable(setup.plans.jobs)
    missing = [job for job in jobs if setup.store.state(job) != "done"]
    preflight_jobs(missing, setup.site, setup.store)
    if not how.dry_run:
        print_header(setup, len(jobs), missing, device_hours(setup, missing))
        _show_and_ask(setup, missing, "Submit it?", is_asked=not how.yes)
    _end_leases(setup, missing, how.take_over and not how.dry_run)
    options = SubmitOptions(how.parallelism, how.separate, how.pack)
    submit(setup, jobs, options, how.dirty, asked.status, how.dry_run)
    _end_with(left_out)


def _end_with(left_out: list[str]) -> None:
    """Say which jobs of the plan were left out.

    Raises:
        typer.Exit: there are some.
    """
    for why in left_out:
        say(f"left out, and what depends on it: {why}")
    if left_out:
        raise typer.Exit(1)


def _show_and_ask(setup: "Setup", missing: "list[Job]", question: str, is_asked: bool, is_shown: bool = True) -> None:
    """If anything is to do, show the plan and its cost, and ask.

    Raises:
        typer.Exit: the answer is no.
    """
    from caebench.cli.show_plan import print_plan

    if missing and is_shown:
        print_plan(setup, details=False)
    if missing and is_asked and not typer.confirm(question):
        raise typer.Exit(2)


def _end_leases(setup: "Setup", missing: "list[Job]", take_over: bool) -> None:
    if take_over:
        end_leases([setup.store.folder(job) for job in missing])


def _end_run(setup: "Setup", outcomes: "Outcomes", asked: Asked, left_out: list[str]) -> None:
    """Print the tables and what became of the jobs; of a run that was stopped, what became of them alone.

    Raises:
        typer.Exit: not all are done.
    """
    from caebench.cli.report import print_reports

    if outcomes.stopped_by is not None:
        summarise_stop(setup, outcomes)
    else:
        print_reports(setup, parse_seeds(asked.seeds))
        summarise(setup, outcomes, asked)
    if outcomes.count("failed", "blocked", "stopped"):
        _end_with(left_out)
        raise typer.Exit(1)


def run_here(setup: "Setup", jobs: "list[Job]", num_parallel: int, separate: bool = False) -> "Outcomes":
    """Run jobs on this machine, and show their progress."""
    from caebench.cli.run_display import RunDisplay
    from caebench.execution.local import run_plan

    with RunDisplay(setup.store, look_ahead(setup, setup.store.to_run(jobs), num_parallel, separate)) as watcher:
        return run_plan(jobs, setup.store, setup.site, watcher, num_parallel, separate)


def print_dry_run(missing: "list[Job]", num_parallel: int, separate: bool) -> None:
    """Print the jobs that a run on this machine would run, those of a shared-encoder pass in one line."""
    from caebench.planning.passes import JobGroups, find_passes, first_of_each

    passes: JobGroups = {} if separate else find_passes(missing)
    for job in first_of_each(missing, passes):
        say(" + ".join(one.name for one in passes.get(job.id, (job,))))
    print(f"{len(missing)} jobs would run on this machine, at most {num_parallel} at once. Nothing ran.")


def submit(
    setup: "Setup",
    jobs: "list[Job]",
    options: "SubmitOptions",
    dirty: bool,
    status: str,
    dry_run: bool = False,
) -> None:
    """Submit the missing ones of some jobs, and print their ids and the command that shows their status."""
    from caebench.cli.show import print_table
    from caebench.execution import snapshot
    from caebench.execution.schedulers.registry import scheduler_of

    scheduler = scheduler_of(setup.site)
    assert scheduler is not None, "only for a site with a scheduler"
    submitter = scheduler.submitter(setup.site, setup.store, options)
    if dry_run:
        say("\n".join(submitter.preview(jobs, snapshot.planned(setup.store.root, dirty))), end="")
        return
    ids = submitter.submit(jobs, snapshot.take(setup.store.root, dirty))
    rows = [[job.name, ids[job.id]] for job in jobs if job.id in ids]
    print_table("Submitted", ["job", f"{scheduler.title} id"], rows)
    waiting = sum(submitter.is_queued(job) for job in jobs)
    print(f"{len(ids)} submitted, {waiting} were already in the queue. Follow them with `{status}`.")
    if not _all_in_hand(jobs, submitter, ids):
        raise typer.Exit(1)


def _all_in_hand(jobs: "list[Job]", submitter: "Submitter", ids: "dict[str, str]") -> bool:
    """Show which jobs were not submitted and why; whether somebody is known to run each of them."""
    from caebench.cli.show import print_table

    held = [job for job in jobs if job.id in submitter.refused]
    if held:
        rows = [[job.name, submitter.refused[job.id].words] for job in held]
        print_table("Not submitted, since another has the lease", ["job", "who"], rows, words=True)
    known = {*ids, *submitter.refused}
    left = [job for job in submitter.missing(jobs) if job.id not in known]
    if left:
        print(f"{len(left)} more wait for those. Run the command again once they are in the queue.")
    return not left and all(submitter.refused[job.id].state != "unknown" for job in held)


def end_leases(folders: Iterable[Path]) -> None:
    """End the leases of jobs whose holders cannot be checked from here, and print whose they were."""
    from caebench.execution.schedulers.registry import query
    from caebench.files.layout import name_of
    from caebench.store.holders import holder_id
    from caebench.store.lease import take_over

    queues = query(folders := list(folders))
    for folder in folders:
        job = holder_id(folder)
        if (who := take_over(folder, queues.get(job.scheduler) if job else None)) is not None:
            say(f"{name_of(folder)}: taken over; it was {who}")


def run_one_job(
    job: Annotated[
        str, typer.Argument(help="A job's id, or a prefix of it; or its folder.", autocompletion=completion.jobs)
    ],
    site: SiteOption = "local",
    store: StoreOption = None,
    take_over: TakeOverOption = False,
) -> None:
    """Run one job that a plan has prepared, in this process; under torchrun, in all of them."""
    from caebench.cli.run_display import LineProgress
    from caebench.execution.logs import write_plain_logs
    from caebench.execution.worker import run_job
    from caebench.files.layout import FAILURE, JOB
    from caebench.files.paths import expand
    from caebench.files.visible import in_one_line
    from caebench.planning.setup import open_store
    from caebench.specs.progress import no_progress
    from caebench.specs.site import load_site
    from caebench.store.lease import LeaseTaken
    from caebench.store.state import failure_of
    from caebench.store.store import unreadable_config

    write_plain_logs()
    where = load_site(site)
    jobs = open_store(where, store)
    given = expand(Path(job))
    folder = given if job and given.is_dir() else jobs.find(job)
    if not (folder / JOB).is_file():
        raise ValueError(f"{folder}: not a job's folder (it has no {JOB}). `caebench status` lists the jobs.")
    if jobs.state_at(folder) == "done":
        say(f"{folder.name}: already done")
        return
    if why := unreadable_config(folder):
        raise ValueError(why)
    if take_over:
        end_leases([folder])
    progress = LineProgress(folder.name) if os.environ.get("RANK", "0") == "0" else no_progress
    try:
        outcome = run_job(folder, jobs.root, where, progress)
    except LeaseTaken as error:
        raise ValueError(str(error)) from error
    say(f"{folder.name}: {outcome}")
    if outcome == "failed" and (folder / FAILURE).exists():  # not there on a full disk, or in another process
        say(f"error: {in_one_line(failure_of(folder))}")
    if outcome != "done":
        raise typer.Exit(1)


def runs_here(site: str) -> str:
    """Why an option of a scheduler is an error at a site without one."""
    return f"site '{site}' runs jobs on this machine. Leave it out, or name a site with [slurm]: --site NAME."


def _num_parallel(jobs: int | None, pack: int | None, device: str) -> int:
    """Concurrent jobs on this machine.

    Raises:
        ValueError: two options give their number, or --pack is given and there is no GPU.
    """
    from caebench.execution.devices import default_parallel

    if pack is None:
        return jobs or default_parallel(device)
    if jobs is not None:
        raise ValueError(f"--jobs {jobs}: --pack {pack} also gives a number of jobs. Keep one.")
    from caebench.execution.devices import visible_gpus

    if device == "cpu" or not (gpus := visible_gpus()):
        raise ValueError(f"--pack {pack}: there is no GPU here to share. Give --jobs, or --site with [slurm].")
    return pack * len(gpus)
