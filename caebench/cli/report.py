"""`caebench report`: tables from finished jobs, in every format; `caebench records`: the same jobs, kept in git."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import (
    JsonOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    SuiteName,
    parse_seeds,
    print_json,
)

if TYPE_CHECKING:
    from caebench.cli.setup import Setup
    from caebench.report.reports import Reports
    from caebench.suites import Table

FORMATS = ("rich", "md", "csv", "tex", "json")
ResultsOption = Annotated[Path, typer.Option("--results", help="The folder whose <scale>/records/ are read, too.")]


def report(
    table: Annotated[int | None, typer.Option("--table", help="A table of the paper, by its number.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="A suite, by its name or file.")] = None,
    all: Annotated[bool, typer.Option("--all", help="Every suite.")] = False,
    scale: ScaleOption = None,
    seeds: Annotated[str | None, typer.Option("--seeds", help="Such as 0,1,2. Default: all that are done.")] = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    versus: Annotated[str, typer.Option("--vs", help="Published sets by name or CSV file, with commas.")] = "paper",
    format: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}: what is printed.")] = "rich",
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder to write <suite>-<scale>.{md,csv,tex,json} to, as well.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out replace tables that have more numbers.")] = False,
    results: ResultsOption = Path("results"),
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a table with a dagger.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="List the jobs that would complete it instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Print tables and their claims: ours, with noise, compared with the published numbers. Writes only to --out."""
    if format not in FORMATS:
        raise ValueError(f"--format '{format}': unknown. Known: {', '.join(FORMATS)}.")
    tables = _choose(table, suite, all)
    chosen = parse_seeds(seeds) if seeds is not None else None
    reports = make_reports(scale, site, store, results, versus, chosen)
    format = "json" if json else format
    if missing and out is not None:
        raise ValueError("--missing: prints jobs and writes no table. Leave out --out.")
    if missing:
        _print_missing(reports, tables, format, site)
        return
    if strict:
        _refuse_departures(reports, tables)
    if out is not None:
        _write(reports, tables, out, force)
    print_tables(reports, tables, format)


def make_reports(
    scale: str | None, site: str, store: Path | None, results: Path, versus: str, seeds: list[int] | None
) -> "Reports":
    """What the options name."""
    from caebench.cli.setup import open_store
    from caebench.config.site import load_site
    from caebench.plan.scale import find_scale
    from caebench.published import parse_sets
    from caebench.report.records import Records, records_folder
    from caebench.report.reports import Reports

    where = load_site(site)
    chosen = find_scale(scale or where.scale)
    records = Records(open_store(where, store), records_folder(chosen.name, results))
    return Reports(chosen, records, parse_sets(versus), seeds)


def print_reports(setup: "Setup", seeds: list[int]) -> None:
    """What a run has led to, from its store alone."""
    from caebench.published import parse_sets
    from caebench.report.records import Records
    from caebench.report.reports import Reports

    reports = Reports(setup.scale, Records(setup.store), parse_sets("paper"), seeds)
    print_tables(reports, [plan.table for plan in setup.plans.plans], "rich")


def _choose(table: int | None, suite: str | None, all_suites: bool) -> "list[Table]":
    from caebench import suites

    if (table is not None) + (suite is not None) + all_suites != 1:
        raise ValueError(
            "report: give one of --table N, --suite NAME and --all. `caebench ls` lists suites and tables."
        )
    if table is not None:
        return [suites.find_table(table)]
    return suites.load_all(suite or suites.ALL)


def print_tables(reports: "Reports", tables: "list[Table]", format: str) -> None:
    """On standard output, in one of the formats."""
    for table in tables:
        if format == "rich":
            _print_rich(reports, table)
    if format == "rich":
        return
    from caebench.report.writing import rendered, report_facts

    if format == "json":
        facts = [report_facts(reports, table) for table in tables]
        print_json(facts[0] if len(facts) == 1 else facts)
    else:
        print("\n".join(rendered(reports, table, format) for table in tables), end="")


def _print_rich(reports: "Reports", table: "Table") -> None:
    from caebench.cli.show import print_table, styled

    found = reports.document(table)
    for number, grid in enumerate((found.main, *found.more)):
        rows = [[styled(text) for text in row] for row in grid.rows]
        print_table(grid.title, grid.header, rows, found.notes if number == 0 else (), grid.words)


def _write(reports: "Reports", tables: "list[Table]", out: Path, force: bool) -> None:
    """Write the files and name them, beside standard output, which may be read by a program."""
    from caebench.report.writing import SUFFIXES, write_reports

    endings = ",".join(suffix.removeprefix(".") for suffix in SUFFIXES.values())
    for stem in write_reports(reports, tables, out, force):
        print(f"wrote {stem}.{{{endings}}}", file=sys.stderr)


def _refuse_departures(reports: "Reports", tables: "list[Table]") -> None:
    """Refuse tables with a dagger.

    Raises:
        ValueError: a number departs from its column's protocol; every such line is named.
    """
    from caebench.report.render import departure_notes

    found = [
        f"{table.name}: {line}"
        for table in tables
        for line in departure_notes([entry for row in reports.rows(table) for entry in row])
    ]
    if found:
        raise ValueError("\n       ".join(["--strict: numbers depart from their column's protocol:", *found]))


def _print_missing(reports: "Reports", tables: "list[Table]", format: str, site: str) -> None:
    from caebench.cli.inspect import hours_header, job_row, jobs_facts, show_hours, size
    from caebench.cli.show import print_table
    from caebench.config.site import load_site
    from caebench.plan.cost import describe_hours, total_gpu_hours
    from caebench.plan.graph import Plans

    where = load_site(site)

    plans = Plans("missing", tuple(reports.plan(table) for table in tables))
    jobs = [job for job in plans.jobs if reports.records.state(job) != "done"]
    facts = jobs_facts(jobs, reports.records.store, where.calibration)
    if format == "json":
        print_json([{**fact} for fact in facts])
        return
    header = ["job", "state", hours_header(where), "disk", "inputs"]
    print_table("Missing", header, [job_row(fact) for fact in facts])
    disk = size(sum(fact["disk_bytes"] for fact in facts))
    hours = show_hours(total_gpu_hours(jobs, where.calibration))
    print(f"{len(facts)} jobs. {describe_hours(where.calibration)}: {hours}. Disk: {disk}.")


def export_records(
    suite: SuiteName = "all",
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Copy what is known of finished jobs, without weights, to <results>/<scale>/records/: a file a job, for git."""
    from caebench.cli.setup import set_up
    from caebench.report.records import export, records_folder

    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    folder = records_folder(setup.scale.name, results)
    num_done, num_open = export(setup.plans.jobs, setup.store, folder)
    print(f"{folder}: {num_done} records" + (f"; {num_open} jobs are not done" if num_open else ""))
