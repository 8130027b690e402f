"""Verbs that only read: `ls`, `plan`, `why`, `doctor`. None imports torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caebench.cli import completion
from caebench.cli.options import (
    AllOption,
    JsonOption,
    PlainSiteOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    SuiteName,
    command,
    parse_seeds,
    print_json,
    reject_for_a_job,
    scale_name,
)

if TYPE_CHECKING:
    from caebench.suites.suite import Suite


def list_suites(json: JsonOption = False) -> None:
    """List the suites."""
    from caebench.cli.show import print_table
    from caebench.specs.plugins import use_site
    from caebench.suites.loading import every

    use_site()
    suites = every()
    if json:
        print_json([_suite_facts(suite) for suite in suites])
        return
    rows = [
        [
            suite.name,
            str(suite.table or "-"),
            suite.title,
            str(len(suite.rows)),
            "; ".join(_headers(suite)),
        ]
        for suite in suites
    ]
    notes = ["`caebench plan SUITE` lists its jobs and their cost, `caebench run SUITE` runs them."]
    print_table("Suites", ["suite", "table", "title", "rows", "columns"], rows, notes)


def _suite_facts(suite: "Suite") -> dict[str, Any]:
    return {
        "suite": suite.name,
        "title": suite.title,
        "table": suite.table,
        "rows": len(suite.rows),
        "columns": _headers(suite),
    }


def _headers(suite: "Suite") -> list[str]:
    return [column.header for column in suite.columns.values()]


def plan(
    suite: SuiteName,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    all: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Show a suite's jobs, what they share and what they cost. Needs no data."""
    from caebench.cli.show_plan import print_plan
    from caebench.planning.facts import plan_facts
    from caebench.planning.setup import set_up

    setup = set_up(suite, scale_name(scale, real), site, store, parse_seeds(seeds))
    if json:
        print_json(plan_facts(setup))
    else:
        run = command("run", suite, scale=scale_name(scale, real), seeds=seeds, site=site, store=store)
        print_plan(setup, details=True, unfold=all, do=run)


def why(
    name: Annotated[
        str,
        typer.Argument(
            help="A job's id, or a prefix of it; or a cell: SUITE/ROW/COLUMN, in the table's words.",
            metavar="JOB|CELL",
            autocompletion=completion.jobs_and_cells,
        ),
    ],
    scale: ScaleOption = None,
    real: RealOption = False,
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Explain a job: what it is, its cells, inputs, provenance, most similar job. Or a cell: value, jobs, inputs.

    A cell is named in the table's words or by ids. With --json a job's whole config, too.
    """
    scale = scale_name(scale, real)
    if "/" in name:
        _why_cell(name, scale, site, store, json)
    else:
        reject_for_a_job(name, scale)
        _why_job(name, site, store, json)


def _why_cell(name: str, scale: str | None, site: str, store: Path | None, json: bool) -> None:
    from caebench.cli.report import make_reports
    from caebench.cli.show_why import print_cell
    from caebench.files.layout import id_in
    from caebench.report.cells import find_cell, split_cell
    from caebench.report.explain import explain_cell
    from caebench.suites.loading import load

    suite, words = split_cell(name)
    table = load(suite)
    cell = find_cell(table, words)
    reports = make_reports(scale, site, store, Path("results"), "paper", None)
    facts = explain_cell(reports, suite, cell.row, cell.column)
    if json:
        print_json(facts)
        return
    jobs = [id_in(number["job"]) for number in facts["numbers"]]
    todo = any(number["state"] != "done" for number in facts["numbers"])
    notes = [f"`{command('why', job, site=site, store=store)}` says more of the job." for job in jobs[:1]]
    if todo:
        notes.append(f"`{command('run', suite, scale=scale, site=site, store=store)}` runs what is missing.")
    entry = reports.entry(table, cell)
    print_cell(facts, entry, notes)


def _why_job(name: str, site: str, store: Path | None, json: bool) -> None:
    from caebench.cli.show_why import print_job
    from caebench.files.layout import JOB, id_in
    from caebench.files.result import intact, reading_once
    from caebench.planning.setup import open_store
    from caebench.report.cells import cells_of
    from caebench.report.explain import explain
    from caebench.report.progress import shown_result
    from caebench.specs.site import load_site

    where = open_store(load_site(site), store)
    folder = where.find(name)
    with reading_once():
        facts = explain(where, folder)
        if json:
            print_json(facts)
            return
        seed = intact(folder, JOB).get("config", {}).get("seed")
        places = list(cells_of(id_in(folder.name), seed if isinstance(seed, int) else 0))
        notes = [f"`{command('why', name, site=site, store=store)} --json` has its whole config."]
        print_job(facts, where, places, shown_result(folder) if facts["state"] == "done" else "", notes)


def doctor(site: PlainSiteOption = "local", json: JsonOption = False) -> None:
    """Check this machine: versions, devices, packages, plug-ins, data roots, assets, free disk.

    Of data it looks at names alone, and opens no image. Exit status 2 if something would stop a run.
    """
    from caebench.cli.show import coloured, print_table
    from caebench.execution.doctor import examine_site

    findings = examine_site(site)
    if json:
        print_json([vars(finding) for finding in findings])
    else:
        said = ["; ".join(filter(None, (finding.found, finding.do))) for finding in findings]
        rows = [[found.what, coloured(found.state), words] for found, words in zip(findings, said, strict=True)]
        print_table("This machine", ["what", "state", "found; what to do"], rows, words=True)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(2)
