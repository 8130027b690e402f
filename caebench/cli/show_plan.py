"""A plan for people: a table of its jobs with their rows and columns, and a summary of their cost."""

from typing import TYPE_CHECKING, NamedTuple

from caebench.cli.options import MOST_ROWS
from caebench.files.sizes import size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from caebench.cli.tables import Cell, Head
    from caebench.planning.code_caches import CacheFacts
    from caebench.planning.facts import JobFacts, PlanFacts
    from caebench.planning.graph import Plan
    from caebench.planning.places import Place
    from caebench.planning.setup import Setup
    from caebench.specs.job import Job
    from caebench.specs.site import Site


class Times(NamedTuple):
    """Whose time a table of jobs shows, and each job's by its id, in words."""

    header: str
    by_id: "Mapping[str, str]"
    wait: float | None = None  # seconds here until all that is to do is done, if known


def print_plan(setup: "Setup", details: bool, unfold: bool = False, do: str = "") -> None:
    """A plan as a table and a summary; with `unfold` a line for each job that is done; `do` runs it."""
    from caebench.cli.show import print_lines, print_table
    from caebench.planning.facts import plan_facts

    facts = plan_facts(setup)
    title = f"Plan of {facts['suite']} at {facts['scale'].upper()} scale"
    to_do = {job["id"] for job in facts["jobs"] if job["state"] != "done"}
    times = job_times(setup.plans.jobs, facts["jobs"], setup.site, to_do)
    summary = _summary(facts, len(to_do), times)
    if not details:
        print_lines([f"{title}: {summary[0]}", *summary[1:]])
        return
    if do and to_do:
        summary.append(f"`{do}` runs what is to do.")
    header, rows, notes = jobs_table(facts["jobs"], setup.plans.plans, times, unfold)
    print_table(title, header, rows, [*notes, *summary])


def jobs_table(
    jobs: "Sequence[JobFacts]", plans: "Sequence[Plan]", times: Times, unfold: bool
) -> "tuple[list[Head], list[list[Cell]], list[str]]":
    """Header, rows and notes of a table of jobs; where a person reads it, what is done is one line."""
    from caebench.cli.show import is_piped
    from caebench.cli.tables import Head
    from caebench.planning.places import places

    found = places(plans)
    folded = [] if unfold or is_piped() else [job for job in jobs if job["state"] == "done"]
    listed = [job for job in jobs if not folded or job["state"] != "done"]
    rows = [_row(job, found.get(job["id"]), times) for job in listed[:MOST_ROWS]]
    if folded:
        disk = size(sum(job["disk_bytes"] for job in folded))
        rows.append(["", f"{len(folded)} jobs", "", "", "", "done", "", disk, "", ""])
    header = [Head("job"), *place_heads(found), Head("state"), Head(times.header), Head("disk")]
    left_out = [number for number, name in enumerate(PLACE, 1) if name not in {head.name for head in header}]
    notes = [f"{len(listed) - MOST_ROWS} more jobs are not shown, `--json` has all"] if len(listed) > MOST_ROWS else []
    notes += ["--all lists those that are done, too."] if folded else []
    return [*header, Head("inputs", True), Head("name", True)], [_without(row, left_out) for row in rows], notes


def _without(row: "list[Cell]", numbers: list[int]) -> "list[Cell]":
    return [cell for number, cell in enumerate(row) if number not in numbers]


PLACE = ("row", "column", "seed", "suite")


def place_heads(found: "Mapping[str, Place]") -> "list[Head]":
    """The columns that say what a job is for; seeds and suites if there are several."""
    from caebench.cli.tables import Head

    several_seeds = len({place.seed for place in found.values()} - {None}) > 1
    several_suites = len({name for place in found.values() for name in place.suites}) > 1
    return [
        Head("row"),
        Head("column"),
        *([Head("seed")] if several_seeds else []),
        *([Head("suite", True)] if several_suites else []),
    ]


def place_cells(place: "Place | None") -> "list[Cell]":
    """Row, column, seed and suite of a job."""
    if place is None:
        return [""] * len(PLACE)
    suites = list(place.suites)
    suite = suites[0] if len(suites) == 1 else f"{len(suites)} suites"
    return [place.row(), place.column(), "" if place.seed is None else str(place.seed), suite]


def _row(job: "JobFacts", place: "Place | None", times: Times) -> "list[Cell]":
    from caebench.cli.show import coloured

    time, disk, inputs = times.by_id[job["id"]], size(job["disk_bytes"]), ", ".join(job["inputs"].values())
    return [job["id"], *place_cells(place), coloured(job["state"]), time, disk, inputs, job["name"]]


def job_times(jobs: "Sequence[Job]", facts: "Sequence[JobFacts]", site: "Site", to_do: "set[str]") -> Times:
    """The time of each job: on the calibrated device, on this machine's cores if an A100's is nothing, or an A100's."""
    from caebench.execution.devices import default_parallel, visible_gpus
    from caebench.planning.duration import TINY, seconds_here, show_time, wait_here

    hours = {fact["id"]: fact["gpu_hours"] for fact in facts}
    is_here = site.scheduler is None and (site.device == "cpu" or not visible_gpus())
    if site.calibration is not None or sum(hours.values()) >= TINY or not is_here:
        header = "A100 time" if site.calibration is None else "device time"
        return Times(header, {job: show_time(3600 * each) for job, each in hours.items()})
    wait = wait_here([job for job in jobs if job.id in to_do], default_parallel(site.device))
    return Times("about", {job.id: show_time(seconds_here(job)) for job in jobs}, wait)


def _summary(facts: "PlanFacts", to_do: int, times: Times) -> list[str]:
    probes, saved = sum(map(len, facts["passes"])), show_hours(facts["gpu_hours_saved_by_passes"])
    passes = f"{probes} probes run in {len(facts['passes'])} shared-encoder passes, which saves {saved} hours."
    return [
        f"{facts['jobs_unique']} jobs ({facts['jobs_asked']} if no two cells shared), {to_do} to do.",
        _cost(facts, times),
        *([passes] if probes and times.wait is None else []),
        *map(_cache_line, facts["code_caches"]),
        *facts["notes"],
    ]


def _cost(facts: "PlanFacts", times: Times) -> str:
    from caebench.planning.duration import show_time

    disk = f"Disk: {size(facts['disk_bytes'])}."
    if times.wait is not None:
        return f"About {show_time(times.wait)} on the cores of this machine. {disk}" if times.wait else disk
    naive = show_hours(facts["gpu_hours_naive"])
    return (
        f"{facts['hours']}: {show_hours(facts['gpu_hours'])} in all ({naive} if each suite ran alone), "
        f"{show_hours(facts['gpu_hours_to_do'])} to do. {disk}"
    )


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
