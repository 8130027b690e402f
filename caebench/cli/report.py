"""`caebench report`: tables from finished jobs, in every format; `caebench records`: their records, for git."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import (
    JsonOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    SuiteName,
    command,
    expanded,
    parse_seeds,
    print_json,
    say,
    scale_name,
)

if TYPE_CHECKING:
    from rich.console import Console

    from caebench.planning.setup import Setup
    from caebench.report.reports import Reports
    from caebench.suites.suite import Suite

SETS = "paper, official, official-first, third-party, related"
FORMATS = ("rich", "md", "csv", "tex", "json", "tsv")
ResultsOption = Annotated[
    Path, typer.Option("--results", callback=expanded, help="The folder whose <scale>/records/ are also read.")
]


def report(
    name: Annotated[
        str | None,
        typer.Argument(help="A suite's name or file, or `all`.", metavar="[SUITE]", autocompletion=completion.suites),
    ] = None,
    table: Annotated[int | None, typer.Option("--table", help="A table of the paper, by its number.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", help="The same as SUITE.", autocompletion=completion.suites)
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Every suite.")] = False,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: Annotated[str | None, typer.Option("--seeds", help="Such as 0,1,2. Default: all finished ones.")] = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    versus: Annotated[str, typer.Option("--vs", help=f"Published sets, with commas: {SETS}; or CSV files.")] = "paper",
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            help="What is printed. Default: rich on a terminal, tsv where it is piped.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=expanded, help="A folder to also write <suite>-<scale>.{md,csv,tex,json} to."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out replace tables that have more numbers.")] = False,
    results: ResultsOption = Path("results"),
    strict: Annotated[bool, typer.Option("--strict", help="Fail if a table has a dagger.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="List the missing jobs instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Print tables and claims: our numbers, with noise, compared with the published ones. Only --out writes files."""
    if format is not None and format not in FORMATS:
        raise ValueError(f"--format '{format}': unknown. Known: {', '.join(FORMATS)}.")
    suites, scale = _choose(name, table, suite, all), scale_name(scale, real)
    chosen = parse_seeds(seeds) if seeds is not None else None
    reports = make_reports(scale, site, store, results, versus, chosen)
    format = "json" if json else format
    if missing and out is not None:
        raise ValueError("--missing: prints jobs and writes no table. Leave out --out.")
    if missing:
        _print_missing(reports, suites, format, site)
        return
    if strict:
        _check_deviations(reports, suites)
    if out is not None:
        _write(reports, suites, out, force)
    print_tables(reports, suites, format)
    if format in (None, "rich", "tsv"):
        _say_where(reports, suites, name or suite or suites[0].name, scale, site, store)


def make_reports(
    scale: str | None, site: str, store: Path | None, results: Path, versus: str, seeds: list[int] | None
) -> "Reports":
    """The reports that the options name."""
    from caebench.planning.setup import open_store
    from caebench.planning.site_data import scale_on
    from caebench.report.reports import Reports
    from caebench.specs.site import load_site
    from caebench.store.records import Records, records_folder
    from caebench.suites.published import parse_sets

    where = load_site(site)
    jobs = open_store(where, store)
    chosen = scale_on(where, scale, jobs)
    records = Records(jobs, records_folder(chosen.name, results))
    return Reports(chosen, records, parse_sets(versus), seeds)


def print_reports(setup: "Setup", seeds: list[int]) -> None:
    """Print the tables of a run, from its store alone."""
    from caebench.report.reports import Reports
    from caebench.store.records import Records
    from caebench.suites.published import parse_sets

    reports = Reports(setup.scale, Records(setup.store), parse_sets("paper"), seeds, setup.plans.plans)
    print_tables(reports, [plan.suite for plan in setup.plans.plans], None)


def _choose(name: str | None, table: int | None, suite: str | None, all_suites: bool) -> "list[Suite]":
    from caebench.suites.loading import ALL, find_suite, load_all

    if (name is not None) + (table is not None) + (suite is not None) + all_suites != 1:
        raise ValueError(
            "report: give one of SUITE, as in `caebench report quickstart`, --table N and --all. `caebench ls` lists "
            "suites and tables."
        )
    if table is not None:
        return [find_suite(table)]
    return load_all(name or suite or ALL)


def print_tables(reports: "Reports", suites: "list[Suite]", format: str | None) -> None:
    """Print to standard output, in one of the formats; without one, as who reads it needs it."""
    from caebench.cli.show import page, page_anyway

    if format in (None, "rich", "tsv"):
        on = {"rich": page_anyway, None: page}.get(format, lambda: None)()
        for number, suite in enumerate(suites):
            if number:
                print()
            _print_tables(reports, suite, on)
        return
    from caebench.report.writing import rendered, report_facts

    if format == "json":
        facts = [report_facts(reports, suite) for suite in suites]
        print_json(facts[0] if len(facts) == 1 else facts)
    else:
        print("\n".join(rendered(reports, suite, format) for suite in suites), end="")


def _print_tables(reports: "Reports", suite: "Suite", on: "Console | None") -> None:
    """A suite's tables with their notes, laid out on a page; or piped, without one."""
    from caebench.cli.show import print_piped, print_table, styled

    found = reports.document(suite)
    for number, grid in enumerate((found.main, *found.more)):
        rows = [[styled(text) for text in row] for row in grid.rows]
        notes = found.notes if number == 0 else ()
        if number:
            print()
        if on is None:
            print_piped(grid.title, grid.header, rows, notes)
        else:
            print_table(grid.title, grid.header, rows, notes, words=number > 0, on=on)


def _say_where(
    reports: "Reports", suites: "list[Suite]", name: str, scale: str | None, site: str, store: Path | None
) -> None:
    """Where was looked, and what to run, if there is no number of ours."""
    from caebench.cli.show import print_note
    from caebench.report.table import has_numbers

    if any(has_numbers(reports.rows(suite)) for suite in suites):
        return
    run = command("run", name if len(suites) == 1 else "all", scale=scale, site=site, store=store)
    kept = f" and {reports.records.folder}" if reports.records.folder is not None else ""
    print_note(f"No number of ours is in {reports.records.store.root.absolute()}{kept}. `{run}` makes them.")


def _write(reports: "Reports", suites: "list[Suite]", out: Path, force: bool) -> None:
    """Write the files and list them on standard error, since a program may read standard output."""
    from caebench.report.writing import SUFFIXES, write_reports

    endings = ",".join(suffix.removeprefix(".") for suffix in SUFFIXES.values())
    for stem in write_reports(reports, suites, out, force):
        say(f"wrote {stem}.{{{endings}}}", to=sys.stderr)


def _check_deviations(reports: "Reports", suites: "list[Suite]") -> None:
    """Check that no table has a dagger.

    Raises:
        ValueError: numbers deviate from their column's protocol; all of them are named.
    """
    from caebench.report.render import deviation_notes

    found = [
        f"{suite.name}: {line}"
        for suite in suites
        for line in deviation_notes([entry for row in reports.rows(suite) for entry in row])
    ]
    if found:
        raise ValueError("\n       ".join(["--strict: numbers deviate from their column's protocol:", *found]))


def _print_missing(reports: "Reports", suites: "list[Suite]", format: str | None, site: str) -> None:
    from caebench.cli.show import print_table
    from caebench.cli.show_plan import job_times, jobs_table, show_hours
    from caebench.files.sizes import size
    from caebench.planning.cost import Cost
    from caebench.planning.duration import show_time
    from caebench.planning.facts import jobs_facts
    from caebench.planning.graph import Plans
    from caebench.specs.cost import describe_hours
    from caebench.specs.site import load_site

    where = load_site(site)
    plans = Plans("missing", tuple(reports.plan(suite) for suite in suites))
    jobs = [job for job in plans.jobs if reports.records.state(job) != "done"]
    cost = Cost.of(jobs, where.calibration)
    facts = jobs_facts(jobs, reports.records.store, cost)
    if format == "json":
        print_json([{**fact} for fact in facts])
        return
    times = job_times(jobs, facts, where, {job.id for job in jobs})
    header, rows, notes = jobs_table(facts, plans.plans, times, unfold=True)
    disk = size(sum(fact["disk_bytes"] for fact in facts))
    total = f"{describe_hours(where.calibration)}: {show_hours(cost.total)}"
    if times.wait is not None:
        total = f"About {show_time(times.wait)} on the cores of this machine"
    print_table("Missing", header, rows, [*notes, f"{len(facts)} jobs. {total}. Disk: {disk}."])


def export_records(
    suite: SuiteName = "all",
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Write records of finished jobs, without weights, to <results>/<scale>/records/: one file per job, for git."""
    from caebench.planning.setup import set_up
    from caebench.store.records import export, records_folder

    setup = set_up(suite, scale_name(scale, real), site, store, parse_seeds(seeds))
    folder = records_folder(setup.scale.name, results)
    num_done, num_open = export(setup.plans.jobs, setup.store, folder)
    say(f"{folder}: {num_done} records" + (f"; {num_open} jobs are not done" if num_open else ""))
