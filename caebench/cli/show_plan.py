"""A plan for people: a table of its jobs, and a summary of their cost."""

from typing import TYPE_CHECKING

from caebench.cli.options import MOST_ROWS
from caebench.files.sizes import size

if TYPE_CHECKING:
    from caebench.cli.show import Cell
    from caebench.planning.code_caches import CacheFacts
    from caebench.planning.facts import JobFacts, PlanFacts
    from caebench.planning.setup import Setup
    from caebench.specs.site import Site


def print_plan(setup: "Setup", details: bool) -> None:
    """A plan as a table and a summary."""
    from caebench.cli.show import console, print_table
    from caebench.planning.facts import plan_facts

    facts = plan_facts(setup)
    title = f"Plan of {facts['suite']} at {facts['scale'].upper()} scale"
    if details:
        rows = [job_row(job) for job in facts["jobs"][:MOST_ROWS]]
        more = len(facts["jobs"]) - len(rows)
        notes = [f"{more} more jobs are not shown, `--json` has all"] if more else []
        print_table(title, ["job", "state", hours_header(setup.site), "disk", "inputs"], rows, notes)
    for line in _summary(title, facts):
        console().print(line)


def hours_header(site: "Site") -> str:
    """The header of a column of hours."""
    return "A100 h" if site.calibration is None else "device h"


def job_row(job: "JobFacts") -> "list[Cell]":
    """A job's line in a table."""
    from caebench.cli.show import coloured

    inputs = ", ".join(job["inputs"].values())
    return [job["name"], coloured(job["state"]), show_hours(job["gpu_hours"]), size(job["disk_bytes"]), inputs]


def _summary(title: str, facts: "PlanFacts") -> list[str]:
    missing = [job for job in facts["jobs"] if job["state"] != "done"]
    naive = show_hours(facts["gpu_hours_naive"])
    probes, saved = sum(map(len, facts["passes"])), show_hours(facts["gpu_hours_saved_by_passes"])
    passes = f"{probes} probes run in {len(facts['passes'])} shared-encoder passes, which saves {saved} hours."
    return [
        f"{title}: {facts['jobs_unique']} jobs ({facts['jobs_asked']} if no two cells shared), {len(missing)} to do.",
        f"{facts['hours']}: {show_hours(facts['gpu_hours'])} in all ({naive} if each suite ran alone), "
        f"{show_hours(facts['gpu_hours_to_do'])} to do. Disk: {size(facts['disk_bytes'])}.",
        *([passes] if probes else []),
        *map(_cache_line, facts["code_caches"]),
        *facts["notes"],
    ]


def _cache_line(cache: "CacheFacts") -> str:
    left = cache["gpu_hours_saved"] - cache["gpu_hours"]
    return (
        f"{cache['name']}: {size(cache['disk_bytes'])} for {cache['epochs']} epochs at {cache['image_bytes']} bytes "
        f"per image; {cache['shared_by']} pretrainings share it, which saves {show_hours(left)} hours "
        f"({show_hours(cache['gpu_hours_saved'])} of tokenizing, minus {show_hours(cache['gpu_hours'])} to fill it)."
    )


def show_hours(hours: float) -> str:
    """Hours for people."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2f}" if hours >= 0.005 else "0"
