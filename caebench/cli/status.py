"""`caebench status`: what has become of each job, once or again and again."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from caebench.cli.options import JsonOption, ScaleOption, SeedsOption, SiteOption, StoreOption, parse_seeds, print_json

if TYPE_CHECKING:
    from caebench.config.site import Slurm
    from caebench.plan.standing import Standing

EVERY = 5.0  # seconds between two looks; squeue and sacct are asked once each
HEADER = ("job", "state", "progress", "images/s", "slice", "ends", "hours used", "left", "result or reason")
ORDER = ("running", "failed", "lost", "blocked", "cancelled", "paused", "queued", "todo", "done")  # where not all fit
ENDED = ("done", "failed", "blocked", "cancelled", "lost", "todo", "paused")
FRAME = 9  # lines of a live table that are no job's
MOST = 500  # rows of a table that somebody may read; --json has all


class Chosen(NamedTuple):
    """Jobs that are asked for."""

    title: str
    folders: Sequence[Path]
    slurm: "Slurm | None"  # the site's, whose limits say how many slices a job takes


def status(
    suite: Annotated[
        str | None,
        typer.Argument(help="A suite or a job's id; without it, every job in the store.", metavar="SUITE|JOB"),
    ] = None,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until nothing runs or waits.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what has become of each job: by its own records first, then by SLURM's queue.

    Hours are a device's: a GPU's, or a CPU process's. What is left, and when a job ends, is by its own speed without
    the waiting between slices; before it has one, by the plan's A100 hours.
    """
    chosen = _choose(suite, scale, seeds, site, store)
    if json:
        print_json(_look(chosen))
    elif watch:
        _watch(chosen)
    else:
        from caebench.cli.show import print_table

        facts = _look(chosen)
        shown, more = _cut(facts, MOST)
        print_table(chosen.title, *_table(shown), [_summary(facts) + more], words=True)


def _choose(suite: str | None, scale: str | None, seeds: str, site: str, store: Path | None) -> Chosen:
    from caebench.cli.setup import find_folders, open_store
    from caebench.config.site import load_site

    where = load_site(site)
    if suite is None:
        root = open_store(where, store)
        return Chosen(f"Jobs in {root.root}", list(root.folders()), where.slurm)
    folders, at = find_folders(suite, scale, site, store, parse_seeds(seeds))
    return Chosen(f"Jobs of {suite} at {at.upper()} scale" if at else "One job", folders, where.slurm)


def _look(chosen: Chosen) -> list[dict[str, Any]]:
    from caebench.execution.queue import see
    from caebench.report.progress import folder_facts

    queue = see(chosen.folders)
    known: dict[Path, Standing] = {}
    return [folder_facts(folder, queue, chosen.slurm, known) for folder in chosen.folders]


def _cut(facts: Sequence[dict[str, Any]], most: int) -> tuple[Sequence[dict[str, Any]], str]:
    """As many jobs as fit, what needs a look first; and how many are left out."""
    if len(facts) <= most:
        return facts, ""
    shown = sorted(facts, key=lambda fact: ORDER.index(fact["state"]))[:most]
    return shown, f"; {len(facts) - most} more jobs are not shown, `--json` has all"


def _table(facts: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, without the columns that hold nothing for any job."""
    rows = [_row(fact) for fact in facts]
    kept = [number for number, _ in enumerate(HEADER) if number < 2 or any(row[number] for row in rows)]
    return [HEADER[number] for number in kept], [[row[number] for number in kept] for row in rows]


def _row(fact: dict[str, Any]) -> list[str]:
    from rich.markup import escape

    from caebench.cli.show import MARKS

    number, total = fact["slices"], fact["num_slices"]
    unfinished = fact["state"] != "done"
    several = f"{number} of {total}" if total and total > 1 and unfinished else str(number) if number > 1 else ""
    share = f", {100 * fact['share']:.0f} %" if fact["share"] is not None and unfinished else ""
    speed = f"{fact['images_per_second']:.0f}" if fact["images_per_second"] else ""
    left = _hours(fact["hours_left"]) if unfinished else ""
    words = "\n".join([escape(str(fact["detail"])), *(f"[dim]{escape(line)}[/]" for line in fact["log"])])
    place = [fact["job"], MARKS[fact["state"]], fact["progress"] + share if unfinished else "", speed, several]
    return [*place, _clock(fact["expected_end"]), _hours(fact["hours_used"]), left, words]


def _hours(hours: float | None) -> str:
    if not hours:
        return ""
    return f"{max(hours, 0.001):.3f}" if hours < 0.1 else f"{hours:,.1f}"


def _clock(moment: str | None) -> str:
    """A time of this place: of today without its date."""
    if moment is None:
        return ""
    there = datetime.fromisoformat(moment).astimezone()
    return there.strftime("%H:%M" if there.date() == datetime.now().astimezone().date() else "%d %b %H:%M")


def _summary(facts: Sequence[dict[str, Any]]) -> str:
    """States counted, hours added up, and the last of the ends that can be foreseen."""
    counts = Counter(str(fact["state"]) for fact in facts)
    parts = [", ".join(f"{number} {state}" for state, number in counts.most_common())]
    used, left = (sum(fact[name] or 0.0 for fact in facts) for name in ("hours_used", "hours_left"))
    if used or left:
        parts.append(f"{_hours(used) or 0} device-hours used, about {_hours(left) or 0} left")
    if ends := [fact["expected_end"] for fact in facts if fact["expected_end"]]:
        parts.append(f"what runs now ends by {_clock(max(ends))}")
    return "; ".join(parts)


def _watch(chosen: Chosen) -> None:
    """A table that stays in place on a terminal; a line a change where there is none."""
    from rich.live import Live

    from caebench.cli.show import console, make_table

    out = console()
    if not out.is_terminal:
        _follow(chosen)
        return
    with Live(console=out, auto_refresh=False) as live:
        while True:
            facts = _look(chosen)
            shown, more = _cut(facts, max(1, out.height - FRAME))
            live.update(
                make_table(f"{chosen.title}: {_summary(facts)}{more}", *_table(shown), words=True), refresh=True
            )
            if all(fact["state"] in ENDED for fact in facts):
                return
            time.sleep(EVERY)


def _follow(chosen: Chosen) -> None:
    shown = ""
    while True:
        facts = _look(chosen)
        counts = Counter(str(fact["state"]) for fact in facts)
        if (line := ", ".join(f"{number} {state}" for state, number in counts.most_common())) != shown:
            print(line, flush=True)
            shown = line
        if all(fact["state"] in ENDED for fact in facts):
            return
        time.sleep(EVERY)
