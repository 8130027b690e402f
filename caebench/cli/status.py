"""`caebench status`: the state of each job, once or repeatedly."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from caebench.cli import completion
from caebench.cli.options import (
    MOST_ROWS,
    JsonOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    command,
    parse_seeds,
    print_json,
    reject_for_a_job,
    reject_options,
    scale_name,
)

if TYPE_CHECKING:
    from rich.console import Console

    from caebench.cli.show import Cell
    from caebench.specs.scheduler import SchedulerSection
    from caebench.store.store import Store

EVERY = 5.0  # seconds between two queue snapshots
HEADER = ("job", "state", "progress", "images/s", "slice", "ends", "hours used", "left", "result or reason")
ORDER = (  # if not all fit
    *("running", "failed", "damaged", "unknown", "lost", "blocked", "cancelled"),
    *("paused", "suspended", "held", "queued", "todo", "done"),
)
ENDED = ("done", "failed", "damaged", "unknown", "blocked", "cancelled", "lost", "todo", "paused")
FRAME = 9  # lines of a live table that are not jobs


class Chosen(NamedTuple):
    """The requested jobs."""

    title: str
    store: "Store"
    folders: Sequence[Path]
    section: "SchedulerSection | None"  # of the site's scheduler, whose limits determine the number of slices


def status(
    suite: Annotated[
        str | None,
        typer.Argument(
            help="A suite or a job's id; without it, every job in the store.",
            metavar="SUITE|JOB",
            autocompletion=completion.suites_and_jobs,
        ),
    ] = None,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Update until no job runs or waits.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the state of each job: from its own records first, then from the scheduler's queue.

    Hours are device-hours: a GPU's, or a CPU process's. Hours left and the expected end come from the job's own speed,
    or from the plan's A100-hours before it has one, without the waiting time between slices.
    """
    if json:
        reject_options("--json prints one document. Leave out one of them.", watch=watch)
    chosen = _choose(suite, scale_name(scale, real), seeds, site, store)
    if json:
        print_json(_facts(chosen))
    elif watch:
        _watch(chosen)
    else:
        from caebench.cli.show import print_table

        facts = _facts(chosen)
        shown, more = _cut(facts, MOST_ROWS)
        notes = [_summary(facts) + more, *_log_hint(chosen, shown, site, store)]
        print_table(chosen.title, *_table(shown), notes, words=True)


def _choose(suite: str | None, scale: str | None, seeds: str | None, site: str, store: Path | None) -> Chosen:
    from caebench.planning.setup import find_folders, open_store
    from caebench.specs.site import load_site

    where = load_site(site)
    root = open_store(where, store)
    if suite is None:
        reject_options("only a suite has a scale and seeds. Name one, or leave it out.", scale=scale, seeds=seeds)
        return Chosen(f"Jobs in {root.root}", root, list(root.folders()), where.section)
    reject_for_a_job(suite, scale, seeds)
    folders, at = find_folders(suite, scale, site, store, parse_seeds(seeds))
    return Chosen(f"Jobs of {suite} at {at.upper()} scale" if at else "One job", root, folders, where.section)


def _facts(chosen: Chosen) -> list[dict[str, Any]]:
    from caebench.execution.schedulers.registry import log_files, query
    from caebench.report.progress import folder_facts
    from caebench.store.state import Statuses

    statuses = Statuses(chosen.store, query(chosen.folders))
    return [folder_facts(folder, statuses, log_files, chosen.section) for folder in chosen.folders]


def _cut(facts: Sequence[dict[str, Any]], most: int) -> tuple[Sequence[dict[str, Any]], str]:
    """As many jobs as fit, those that need attention first; and how many are not shown."""
    if len(facts) <= most:
        return facts, ""
    shown = sorted(facts, key=lambda fact: ORDER.index(fact["state"]))[:most]
    return shown, f"; {len(facts) - most} more jobs are not shown, `--json` has all"


def _table(facts: Sequence[dict[str, Any]]) -> "tuple[list[str], list[list[Cell]]]":
    """Header and rows, without columns that are empty for every job."""
    rows = [_row(fact) for fact in facts]
    kept = [number for number, _ in enumerate(HEADER) if number < 2 or any(row[number] for row in rows)]
    return [HEADER[number] for number in kept], [[row[number] for number in kept] for row in rows]


def _row(fact: dict[str, Any]) -> "list[Cell]":
    from rich.text import Text

    from caebench.cli.show import coloured
    from caebench.files.visible import in_one_line, visible

    number, total = fact["slices"], fact["num_slices"]
    unfinished = fact["state"] != "done"
    several = f"{number} of {total}" if total and total > 1 and unfinished else str(number) if number > 1 else ""
    share = f", {100 * fact['share']:.0f} %" if fact["share"] is not None and unfinished else ""
    speed = f"{fact['images_per_second']:.0f}" if fact["images_per_second"] else ""
    left = _hours(fact["hours_left"]) if unfinished else ""
    words = Text(in_one_line(str(fact["detail"])))
    words.append(visible("".join(f"\n{line}" for line in fact["log"])), "dim")
    place = [fact["job"], coloured(fact["state"]), fact["progress"] + share if unfinished else "", speed, several]
    return [*place, _clock(fact["expected_end"]), _hours(fact["hours_used"]), left, words]


def _hours(hours: float | None) -> str:
    if not hours:
        return ""
    return f"{max(hours, 0.001):.3f}" if hours < 0.1 else f"{hours:,.1f}"


def _clock(time_utc: str | None) -> str:
    """A local time: without the date if it is today, with the year if that is another."""
    if time_utc is None:
        return ""
    local, today = datetime.fromisoformat(time_utc).astimezone(), datetime.now().astimezone().date()
    if local.date() == today:
        return local.strftime("%H:%M")
    return local.strftime("%d %b %H:%M" if local.year == today.year else "%d %b %Y")


def _summary(facts: Sequence[dict[str, Any]]) -> str:
    """Counts of states, total hours, and the latest expected end."""
    counts = Counter(str(fact["state"]) for fact in facts)
    parts = [", ".join(f"{number} {state}" for state, number in counts.most_common())]
    used, left = (sum(fact[name] or 0.0 for fact in facts) for name in ("hours_used", "hours_left"))
    if used or left:
        parts.append(f"{_hours(used) or 0} device-hours used, about {_hours(left) or 0} left")
    if ends := [fact["expected_end"] for fact in facts if fact["expected_end"]]:
        parts.append(f"running jobs end by {_clock(max(ends))}")
    return "; ".join(parts)


def _log_hint(chosen: Chosen, facts: Sequence[dict[str, Any]], site: str, store: Path | None) -> list[str]:
    """The command that prints the whole log of the first job whose last lines are shown."""
    from caebench.execution.schedulers.registry import log_files
    from caebench.files.layout import id_in

    for fact in facts:
        if fact["log"] and log_files(Path(fact["folder"]), chosen.store.root):
            return [f"The whole log of {fact['job']}: {command('logs', id_in(fact['job']), site=site, store=store)}"]
    return []


def _watch(chosen: Chosen) -> None:
    """A live table on a terminal, otherwise one line per change."""
    from rich.live import Live

    from caebench.cli.show import console, make_table

    out = console()
    if not out.is_terminal:
        _follow(chosen, out)
        return
    with Live(console=out, auto_refresh=False) as live:
        for facts in _repeatedly(chosen, out):
            shown, more = _cut(facts, max(1, out.height - FRAME))
            live.update(
                make_table(f"{chosen.title}: {_summary(facts)}{more}", *_table(shown), words=True), refresh=True
            )


def _follow(chosen: Chosen, out: "Console") -> None:
    shown = ""
    for facts in _repeatedly(chosen, out):
        counts = Counter(str(fact["state"]) for fact in facts)
        if (line := ", ".join(f"{number} {state}" for state, number in counts.most_common())) != shown:
            print(line, flush=True)
            shown = line


def _repeatedly(chosen: Chosen, out: "Console") -> Iterator[list[dict[str, Any]]]:
    """The facts again and again until nothing runs or waits. A scheduler that does not answer is named in one line."""
    from caebench.execution.schedulers.base import SchedulerSilent

    said = ""
    while True:
        try:
            facts, words = _facts(chosen), ""
        except SchedulerSilent as error:
            facts, words = None, f"{error} Asking again."
        if words and words != said:
            out.print(words, soft_wrap=True)
        said = words
        if facts is not None:
            yield facts
            if all(fact["state"] in ENDED for fact in facts):
                return
        time.sleep(EVERY)
