"""`caebench status`: the state of each job, once or repeatedly."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from caebench.cli import completion
from caebench.cli.options import (
    MOST_ROWS,
    AllOption,
    JsonOption,
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    command,
    nothing_in,
    parse_seeds,
    print_json,
    reject_for_a_job,
    reject_options,
    scale_name,
)

if TYPE_CHECKING:
    from rich.console import Console

    from caebench.planning.places import Place
    from caebench.specs.scheduler import SchedulerSection
    from caebench.store.store import Store

EVERY = 5.0  # seconds between two queue snapshots
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
    places: "Mapping[str, Place]"  # the row and column of each job of a suite, by its id


def status(
    suite: Annotated[
        str | None,
        typer.Argument(
            help="A suite or a job's id; without it, what the store holds.",
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
    all: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Show what the store holds, or the state of each job of a suite: from its own records, then from the queue.

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
    elif suite is None and not all:
        _print_overview(chosen, site, store)
    else:
        _print_jobs(chosen, all, suite, scale_name(scale, real), site, store)


def _choose(suite: str | None, scale: str | None, seeds: str | None, site: str, store: Path | None) -> Chosen:
    from caebench.planning.places import places
    from caebench.planning.setup import is_suite, open_store, set_up
    from caebench.specs.site import load_site

    where = load_site(site)
    root = open_store(where, store)
    if suite is None:
        reject_options("only a suite has a scale and seeds. Name one, or leave it out.", scale=scale, seeds=seeds)
        return Chosen(f"Jobs in {root.root}", root, list(root.folders()), where.section, {})
    if not is_suite(suite):
        reject_for_a_job(suite, scale, seeds)
        return Chosen("One job", root, [root.find(suite)], where.section, {})
    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    folders = [setup.store.folder(job) for job in setup.plans.jobs]
    title = f"Jobs of {suite} at {setup.scale.name.upper()} scale"
    return Chosen(title, setup.store, folders, where.section, places(setup.plans.plans))


def _print_overview(chosen: Chosen, site: str, store: Path | None) -> None:
    from caebench.cli.show_status import print_overview
    from caebench.execution.schedulers.registry import query
    from caebench.files.result import reading_once
    from caebench.report.overview import overview
    from caebench.store.state import Statuses

    with reading_once():
        found = overview(Statuses(chosen.store, query(chosen.folders)), chosen.folders)
    print_overview(chosen.store.root, found, site, store)


def _print_jobs(
    chosen: Chosen, unfold: bool, suite: str | None, scale: str | None, site: str, store: Path | None
) -> None:
    """The jobs, those that are done in one line where a person reads it."""
    from caebench.cli.show import is_piped, print_lines, print_table
    from caebench.cli.show_status import status_table, summary

    facts = _facts(chosen)
    is_folded = not unfold and not is_piped() and len(facts) > 1
    listed = [fact for fact in facts if fact["state"] != "done"] if is_folded else facts
    if not facts:
        print_lines([nothing_in(chosen.store.root, site, store)])
        return
    if not listed:
        report = command("report", str(suite), scale=scale, site=site, store=store)
        print_lines([f"{chosen.title}: {summary(facts)}.", f"`{report}` prints the table, --all lists the jobs."])
        return
    shown, more = _cut(listed, MOST_ROWS)
    header, rows = status_table(shown, chosen.places, len(facts) - len(listed))
    hints = ["--all lists those that are done, too."] if len(listed) < len(facts) else []
    print_table(chosen.title, header, rows, [summary(facts) + more, *hints, *_log_hint(chosen, shown, site, store)])


def _facts(chosen: Chosen) -> list[dict[str, Any]]:
    from caebench.execution.schedulers.registry import log_files, query
    from caebench.files.result import reading_once
    from caebench.report.progress import folder_facts
    from caebench.store.state import Statuses

    with reading_once():
        statuses = Statuses(chosen.store, query(chosen.folders))
        return [folder_facts(folder, statuses, log_files, chosen.section) for folder in chosen.folders]


def _cut(facts: Sequence[dict[str, Any]], most: int) -> tuple[Sequence[dict[str, Any]], str]:
    """As many jobs as fit, those that need attention first; and how many are not shown."""
    if len(facts) <= most:
        return facts, ""
    shown = sorted(facts, key=lambda fact: ORDER.index(fact["state"]))[:most]
    return shown, f"; {len(facts) - most} more jobs are not shown, `--json` has all"


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
    from rich.console import Group
    from rich.live import Live

    from caebench.cli.show import console
    from caebench.cli.show_status import status_table, summary
    from caebench.cli.tables import laid_out

    out = console()
    if not out.is_terminal:
        _follow(chosen, out)
        return
    with Live(console=out, auto_refresh=False) as live:
        for facts in _repeatedly(chosen, out):
            shown, more = _cut(facts, max(1, out.height - FRAME))
            header, rows = status_table(shown, chosen.places)
            table = laid_out(header, rows, out.width, numbers=False)[: out.height - FRAME]
            live.update(Group(f"{chosen.title}: {summary(facts)}{more}", *table), refresh=True)


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
