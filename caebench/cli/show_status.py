"""The tables of `caebench status`: the jobs of a suite, and what a store holds."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caebench.cli.options import command, nothing_in
from caebench.cli.show_plan import PLACE, place_cells, place_heads

if TYPE_CHECKING:
    from caebench.cli.tables import Cell, Head
    from caebench.planning.places import Place
    from caebench.report.overview import Overview, SuiteCount

FACTS = ("state", "progress", "images/s", "slice", "ends", "used", "left", "result or reason", "name")
LATE = ("images/s", "slice", "used", "left", "name")  # which may be left out of a narrow table, last first
LEAST_LEFT = 0.01  # device-hours, below which an A100's are nothing on another device
WORST = 5  # failed jobs that the summary of a store names


def status_table(
    facts: "Sequence[dict[str, Any]]", found: "Mapping[str, Place]", folded: int = 0
) -> "tuple[list[Head], list[list[Cell]]]":
    """Header and rows, without columns that are empty for every job; `folded` jobs are done and in one line."""
    from caebench.cli.tables import Head
    from caebench.files.layout import id_in

    names = ["job", *PLACE, *FACTS]
    rows = [[id_in(fact["job"]), *place_cells(found.get(id_in(fact["job"]))), *_row(fact)] for fact in facts]
    shown = [head.name for head in place_heads(found)] if found else []
    kept = [
        number
        for number, name in enumerate(names)
        if name in ("job", "state", "name", *shown) or (name in FACTS and any(row[number] for row in rows))
    ]
    if folded:
        done: dict[str, Cell] = {"job": "", "row" if found else "name": f"{folded} jobs", "state": "done"}
        rows.append([done.get(name, "") for name in names])
    header = [Head(names[n], names[n] in LATE and (bool(found) or names[n] != "name")) for n in kept]
    return header, [[row[number] for number in kept] for row in rows]


def _row(fact: dict[str, Any]) -> "list[Cell]":
    from rich.text import Text

    from caebench.cli.show import coloured
    from caebench.files.visible import in_one_line, visible

    number, total = fact["slices"], fact["num_slices"]
    unfinished = fact["state"] != "done"
    several = f"{number} of {total}" if total and total > 1 and unfinished else str(number) if number > 1 else ""
    share = f", {100 * fact['share']:.0f} %" if fact["share"] is not None and unfinished else ""
    speed = f"{fact['images_per_second']:.0f}" if fact["images_per_second"] else ""
    left = device_time(fact["hours_left"]) if unfinished else ""
    words = Text(in_one_line(str(fact["detail"])))
    words.append(visible("".join(f"\n{line}" for line in fact["log"])), "dim")
    place = [coloured(fact["state"]), fact["progress"] + share if unfinished else "", speed, several]
    return [*place, clock(fact["expected_end"]), device_time(fact["hours_used"]), left, words, fact["job"]]


def device_time(hours: float | None) -> str:
    """Device-hours in words, minutes where they are few; nothing where there are none."""
    from caebench.planning.duration import show_time

    return show_time(3600 * hours) if hours else ""


def clock(time_utc: str | None) -> str:
    """A local time: without the date if it is today, with the year if that is another."""
    if time_utc is None:
        return ""
    local, today = datetime.fromisoformat(time_utc).astimezone(), datetime.now().astimezone().date()
    if local.date() == today:
        return local.strftime("%H:%M")
    return local.strftime("%d %b %H:%M" if local.year == today.year else "%d %b %Y")


def summary(facts: "Sequence[dict[str, Any]]") -> str:
    """Counts of states, total hours, and the latest expected end."""
    counts = Counter(str(fact["state"]) for fact in facts)
    parts = [", ".join(f"{number} {state}" for state, number in counts.most_common())]
    used, left = (sum(fact[name] or 0.0 for fact in facts) for name in ("hours_used", "hours_left"))
    if used or left >= LEAST_LEFT:
        rest = f", about {device_time(left)} left" if left >= LEAST_LEFT else ""
        parts.append(f"{device_time(used) or 0} of a device used{rest}")
    if ends := [fact["expected_end"] for fact in facts if fact["expected_end"]]:
        parts.append(f"running jobs end by {clock(max(ends))}")
    return "; ".join(parts)


# ---- a store --------------------------------------------------------------------------------------------------------


def print_overview(root: Path, found: "Overview", site: str, store: Path | None) -> None:
    """What a store holds, what is wrong in it, and what to type next."""
    from caebench.cli.show import print_lines, print_table
    from caebench.files.sizes import size

    if not found.states:
        print_lines([nothing_in(root, site, store)])
        return
    states = Counter(state for state, _ in found.states.values())
    counts = ", ".join(f"{number:,} {state}" for state, number in states.most_common())
    lines = [
        f"{len(found.states):,} {'job' if len(found.states) == 1 else 'jobs'}: {counts}. Disk: {size(found.num_bytes)}."
    ]
    if found.last:
        name, moment = found.last
        when = clock(datetime.fromtimestamp(moment).astimezone().isoformat())
        lines.append(f"Last activity: {name}, {_ago(time.time() - moment)} ago ({when}).")
    if found.imported:
        more = f" and {len(found.imported) - WORST} more" if len(found.imported) > WORST else ""
        lines.append(f"Imported encoders: {', '.join(found.imported[:WORST])}{more}.")
    header = ["suite", "scale", "seeds", "jobs", "done", "running", "failed", "to do"]
    rows = [_suite_row(one) for one in found.suites]
    if found.unplanned:
        rows.append(["in no suite here", "", "", f"{found.unplanned:,}", "", "", "", ""])
    if found.sharing:
        shared = ", ".join(f"{one.suite} {one.done} of {one.jobs}" for one in found.sharing[:WORST])
        more = f" and {len(found.sharing) - WORST} more" if len(found.sharing) > WORST else ""
        lines.append(f"Shared with other suites, so done there, too: {shared}{more}.")
    print_table(f"Store {root}", header, rows, [*lines, *_wrong(found), *_next(found, site, store)])


def _suite_row(one: "SuiteCount") -> list[str]:
    seeds = ", ".join(map(str, one.seeds)) if len(one.seeds) <= 3 else f"{len(one.seeds)} seeds"
    numbers = (one.jobs, one.done, one.running, one.failed, one.to_do)
    return [one.suite, one.scale, seeds, *(f"{number:,}" if number else "-" for number in numbers)]


def _wrong(found: "Overview") -> list[str]:
    from caebench.files.layout import id_in
    from caebench.files.visible import in_one_line

    lines = [f"{status[0]}: {id_in(folder.name)} {in_one_line(status[1])}" for folder, status in found.broken[:WORST]]
    more = len(found.broken) - WORST
    return [*lines, *([f"{more} more failed, are damaged, lost or blocked."] if more > 0 else [])]


def _next(found: "Overview", site: str, store: Path | None) -> list[str]:
    """Commands: to look at what is wrong, to follow what runs, to run what is left, to see a table."""
    from caebench.files.layout import id_in

    def typed(*words: str, scale: str | None = None, seeds: "Sequence[int]" = (0,)) -> str:
        wanted = None if list(seeds) == [0] else ",".join(map(str, seeds))
        return f"`{command(*words, scale=scale, seeds=wanted, site=site, store=store)}`"

    lines: list[str] = []
    if found.broken:
        lines.append(f"{typed('why', id_in(found.broken[0][0].name))} says more of one.")
    if one := next((each for each in found.suites if each.running), None):
        lines.append(f"{typed('status', one.suite, '--watch', scale=one.scale, seeds=one.seeds)} follows what runs.")
    if one := next((each for each in found.suites if each.failed + each.to_do), None):
        lines.append(f"{typed('run', one.suite, scale=one.scale, seeds=one.seeds)} runs what is missing.")
    if one := max(found.suites, key=lambda each: each.done / each.jobs, default=None):
        lines.append(f"{typed('report', one.suite, scale=one.scale)} prints its table.")
    return [*lines, f"{typed('status', '--all')} lists every job."]


def _ago(seconds: float) -> str:
    from caebench.planning.duration import show_time

    days = seconds / 86400
    return f"{days:.0f} days" if days >= 2 else show_time(max(1.0, seconds))
