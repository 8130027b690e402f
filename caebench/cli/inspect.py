"""Verbs that only look: `ls`, `plan`, `status`, `why`, `doctor`. None imports torch."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

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
    from caebench.config.calibration import Calibration
    from caebench.config.site import Site
    from caebench.plan.codes import CacheFacts
    from caebench.plan.graph import Job
    from caebench.plan.store import Store
    from caebench.suites import Table


def list_suites(json: JsonOption = False) -> None:
    """List the suites."""
    from caebench import suites
    from caebench.cli.show import print_table

    tables = [suites.load(name) for name in suites.names()]
    if json:
        print_json([_suite_facts(table) for table in tables])
        return
    rows = [
        [
            table.name,
            table.source.title,
            str(table.source.table or "-"),
            str(len(table.rows)),
            " ".join(_headers(table)),
        ]
        for table in tables
    ]
    print_table("Suites", ["suite", "title", "paper's table", "rows", "columns"], rows)


def _suite_facts(table: "Table") -> dict[str, Any]:
    return {
        "suite": table.name,
        "title": table.source.title,
        "table": table.source.table,
        "rows": len(table.rows),
        "columns": _headers(table),
    }


def _headers(table: "Table") -> list[str]:
    return [column.header for column in table.columns.values()]


def plan(
    suite: SuiteName,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a suite means: its jobs, what they share, what they cost. Needs no data."""
    from caebench.cli.setup import set_up

    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    if json:
        print_json(plan_facts(setup))
    else:
        print_plan(setup, details=True)


class JobFacts(TypedDict):
    """A job of a plan in plain values."""

    id: str
    name: str
    kind: str
    state: str
    inputs: dict[str, str]  # role -> id
    gpu_hours: float  # of the site's device, if it is calibrated, else of an A100
    disk_bytes: int


class PlanFacts(TypedDict):
    """A plan in plain values."""

    suite: str
    scale: str
    jobs_asked: int  # each cell with all that it rests on
    jobs_unique: int
    hours: str  # whose, and how they are known
    gpu_hours_naive: float  # each suite planned alone
    gpu_hours: float
    gpu_hours_to_do: float
    disk_bytes: int
    passes: list[list[str]]  # ids of probes that one pass of their encoder serves
    gpu_hours_saved_by_passes: float
    code_caches: "list[CacheFacts]"
    jobs: list[JobFacts]


def plan_facts(setup: "Setup") -> PlanFacts:
    """A plan in plain values."""
    from caebench.plan.codes import cache_facts
    from caebench.plan.cost import describe_hours, gpu_hours_of_passes_saved, total_gpu_hours
    from caebench.plan.passes import passes, units_of

    calibration = setup.site.calibration
    to_do = [job for job in setup.plans.jobs if setup.store.state(job) != "done"]
    jobs = jobs_facts(setup.plans.jobs, setup.store, calibration)
    return {
        "suite": setup.plans.name,
        "scale": setup.scale.name,
        "jobs_asked": setup.plans.jobs_asked,
        "jobs_unique": len(jobs),
        "hours": describe_hours(calibration),
        "gpu_hours_naive": math.fsum(total_gpu_hours(suite.jobs, calibration) for suite in setup.alone),
        "gpu_hours": total_gpu_hours(setup.plans.jobs, calibration),
        "gpu_hours_to_do": total_gpu_hours(to_do, calibration),
        "disk_bytes": sum(job["disk_bytes"] for job in jobs),
        "passes": [[job.id for job in unit] for unit in passes(units_of(setup.plans.jobs))],
        "gpu_hours_saved_by_passes": gpu_hours_of_passes_saved(setup.plans.jobs, calibration),
        "code_caches": cache_facts(setup.plans.jobs, calibration),
        "jobs": jobs,
    }


def jobs_facts(jobs: "list[Job]", store: "Store", calibration: "Calibration | None") -> list[JobFacts]:
    """Jobs in plain values; hours are the calibrated device's, or an A100's."""
    return [_job_facts(job, store, calibration) for job in jobs]


def _job_facts(job: "Job", store: "Store", calibration: "Calibration | None") -> JobFacts:
    from caebench.plan.cost import disk_bytes, gpu_hours

    return {
        "id": job.id,
        "name": job.name,
        "kind": job.kind,
        "state": store.state(job),
        "inputs": {role: parent.id for role, parent in job.inputs.items()},
        "gpu_hours": gpu_hours(job, calibration),
        "disk_bytes": disk_bytes(job),
    }


def print_plan(setup: "Setup", details: bool) -> None:
    """A plan as a table and a summary."""
    from caebench.cli.show import console, print_table

    facts = plan_facts(setup)
    title = f"Plan of {facts['suite']} at {facts['scale'].upper()} scale"
    if details:
        rows = [job_row(job) for job in facts["jobs"]]
        print_table(title, ["job", "state", hours_header(setup.site), "disk", "inputs"], rows)
    for line in _summary(title, facts):
        console().print(line, highlight=False)


def hours_header(site: "Site") -> str:
    """The head of a column of hours."""
    return "A100 h" if site.calibration is None else "device h"


def job_row(job: JobFacts) -> list[str]:
    """A job's line in a table."""
    from caebench.cli.show import MARKS

    inputs = ", ".join(job["inputs"].values())
    return [job["name"], MARKS[job["state"]], show_hours(job["gpu_hours"]), size(job["disk_bytes"]), inputs]


def _summary(title: str, facts: PlanFacts) -> list[str]:
    missing = [job for job in facts["jobs"] if job["state"] != "done"]
    naive = show_hours(facts["gpu_hours_naive"])
    probes, saved = sum(map(len, facts["passes"])), show_hours(facts["gpu_hours_saved_by_passes"])
    together = f"{probes} probes share {len(facts['passes'])} passes of their encoders, which saves {saved} hours."
    return [
        f"{title}: {facts['jobs_unique']} jobs ({facts['jobs_asked']} if no two cells shared), {len(missing)} to do.",
        f"{facts['hours']}: {show_hours(facts['gpu_hours'])} in all ({naive} if each suite ran alone), "
        f"{show_hours(facts['gpu_hours_to_do'])} to do. Disk: {size(facts['disk_bytes'])}.",
        *([together] if probes else []),
        *map(_cache_line, facts["code_caches"]),
    ]


def _cache_line(cache: "CacheFacts") -> str:
    left = cache["gpu_hours_saved"] - cache["gpu_hours"]
    return (
        f"{cache['name']}: {size(cache['disk_bytes'])} for {cache['epochs']} epochs at {cache['image_bytes']} bytes an "
        f"image; {cache['shared_by']} pretrainings share it, and {show_hours(left)} hours are saved "
        f"({show_hours(cache['gpu_hours_saved'])} of tokenizing, for {show_hours(cache['gpu_hours'])} to fill it)."
    )


def show_hours(hours: float) -> str:
    """Hours for people."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2f}" if hours >= 0.005 else "0"


def size(num_bytes: float) -> str:
    """Bytes for people."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.0f} MB"


def why(
    name: Annotated[
        str, typer.Argument(help="A job's id, or its beginning; or a cell: SUITE/ROW/COLUMN.", metavar="JOB|CELL")
    ],
    scale: ScaleOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Explain a job: config, inputs, provenance, nearest other job. Or a cell: its jobs, what they rest on, logs."""
    from caebench.cli.report import make_reports
    from caebench.cli.setup import open_store
    from caebench.config.site import load_site
    from caebench.report.explain import explain, explain_cell

    if name.count("/") > 1:  # rows hold odd characters, slashes too
        suite, rest = name.split("/", 1)
        reports = make_reports(scale, site, store, Path("results"), "paper", None)
        facts = explain_cell(reports, suite, *rest.rsplit("/", 1))
    else:
        where = open_store(load_site(site), store)
        facts = explain(where, where.find(name))
    if json:
        print_json(facts)
        return
    from caebench.cli.show import console

    console().print_json(data=facts)


def doctor(site: SiteOption = "local", json: JsonOption = False) -> None:
    """Check this machine: versions, devices, packages, data roots, free disk."""
    from caebench.cli.show import print_table
    from caebench.config.site import load_site
    from caebench.execution.doctor import examine

    findings = examine(load_site(site))
    if json:
        print_json([vars(finding) for finding in findings])
    else:
        marks = {"ok": "[green]ok[/]", "note": "note", "bad": "[red]bad[/]"}
        rows = [[finding.what, marks[finding.state], finding.found] for finding in findings]
        print_table("This machine", ["what", "state", "found"], rows)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(2)
