"""Verbs that only read: `ls`, `plan`, `why`, `doctor`. None imports torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from caebench.cli import completion
from caebench.cli.options import (
    JsonOption,
    PlainSiteOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    SuiteName,
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
            suite.title,
            str(suite.table or "-"),
            str(len(suite.rows)),
            " ".join(_headers(suite)),
        ]
        for suite in suites
    ]
    print_table("Suites", ["suite", "title", "paper's table", "rows", "columns"], rows)


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
        print_plan(setup, details=True)


def why(
    name: Annotated[
        str,
        typer.Argument(
            help="A job's id, or a prefix of it; or a cell: SUITE/ROW/COLUMN.",
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
    """Explain a job: config, inputs, provenance, most similar job. Or a cell: its jobs, their dependencies, logs."""
    from caebench.cli.report import make_reports
    from caebench.planning.setup import open_store
    from caebench.report.explain import explain, explain_cell
    from caebench.specs.site import load_site

    scale = scale_name(scale, real)
    if name.count("/") > 1:  # a row's name may contain slashes
        suite, rest = name.split("/", 1)
        reports = make_reports(scale, site, store, Path("results"), "paper", None)
        facts = explain_cell(reports, suite, *rest.rsplit("/", 1))
    else:
        reject_for_a_job(name, scale)
        where = open_store(load_site(site), store)
        facts = explain(where, where.find(name))
    if json:
        print_json(facts)
        return
    from caebench.cli.show import console

    console().print_json(data=facts, ensure_ascii=True)


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
