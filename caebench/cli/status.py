"""`caebench status`: what has become of each job, once or again and again."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from caebench.cli.options import JsonOption, ScaleOption, SeedsOption, SiteOption, StoreOption, parse_seeds, print_json

EVERY = 5.0  # seconds between two looks; squeue and sacct are asked once each
HEADER = ["job", "state", "progress", "slices", "result or reason"]
ENDED = ("done", "failed", "blocked", "cancelled", "lost", "todo", "paused")


def status(
    suite: Annotated[str | None, typer.Argument(help="A suite; without it, every job in the store.")] = None,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until nothing runs or waits.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what has become of each job: by its own records first, then by SLURM's queue."""
    title, folders = _choose(suite, scale, seeds, site, store)
    if json:
        print_json(_look(folders))
    elif watch:
        _watch(title, folders)
    else:
        from caebench.cli.show import print_table

        facts = _look(folders)
        print_table(title, HEADER, [_row(fact) for fact in facts], [_count(facts)])


def _choose(suite: str | None, scale: str | None, seeds: str, site: str, store: Path | None) -> tuple[str, list[Path]]:
    """A title, and the folders of the jobs that are asked for."""
    from caebench.cli.setup import open_store, set_up
    from caebench.config.site import load_site

    if suite is None:
        where = open_store(load_site(site), store)
        return f"Jobs in {where.root}", list(where.folders())
    setup = set_up(suite, scale, site, store, parse_seeds(seeds))
    title = f"Jobs of {suite} at {setup.scale.name.upper()} scale"
    return title, [setup.store.folder(job) for job in setup.plans.jobs]


def _look(folders: Sequence[Path]) -> list[dict[str, Any]]:
    from caebench.execution.queue import see
    from caebench.report.progress import folder_facts

    queue = see(folders)
    return [folder_facts(folder, queue) for folder in folders]


def _row(fact: dict[str, Any]) -> list[str]:
    from rich.markup import escape

    from caebench.cli.show import MARKS

    slices = str(fact["slices"] or "")
    return [fact["job"], MARKS[fact["state"]], fact["progress"], slices, escape(str(fact["detail"]))]


def _count(facts: list[dict[str, Any]]) -> str:
    counts = Counter(str(fact["state"]) for fact in facts)
    return ", ".join(f"{number} {state}" for state, number in counts.most_common())


def _watch(title: str, folders: Sequence[Path]) -> None:
    """A table that stays in place on a terminal; a line a change where there is none."""
    from rich.live import Live

    from caebench.cli.show import console, make_table

    out = console()
    if not out.is_terminal:
        _follow(folders)
        return
    with Live(console=out, auto_refresh=False) as live:
        while True:
            facts = _look(folders)
            live.update(make_table(f"{title}: {_count(facts)}", HEADER, [_row(fact) for fact in facts]), refresh=True)
            if all(fact["state"] in ENDED for fact in facts):
                return
            time.sleep(EVERY)


def _follow(folders: Sequence[Path]) -> None:
    shown = ""
    while True:
        facts = _look(folders)
        if (line := _count(facts)) != shown:
            print(line, flush=True)
            shown = line
        if all(fact["state"] in ENDED for fact in facts):
            return
        time.sleep(EVERY)
