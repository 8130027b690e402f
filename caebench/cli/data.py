"""`caebench data`: the synthetic data sets, and checks of real ones."""

from pathlib import Path
from typing import Annotated

import typer

from caebench.cli.options import JsonOption, SiteOption, command, expanded, print_json, say


def make(
    root: Annotated[Path, typer.Argument(callback=expanded, help="An empty or new folder.")],
    scale: Annotated[str, typer.Option("--scale", metavar="nano|lab", help="How many images of what size.")] = "nano",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Render the synthetic data sets into ROOT, in the on-disk layouts of the real ones."""
    from caebench.datasets.synthetic.world import render
    from caebench.planning.scale import find_scale

    world = find_scale(scale).world
    if world is None:
        raise ValueError(f"--scale '{scale}': uses real data, so there is nothing to render. Choose nano or lab.")
    from rich.progress import Progress

    with Progress() as progress:
        bar = progress.add_task("rendering", total=None)
        amounts = world.replace(seed=seed).amounts()
        render(amounts, root, lambda done, total: progress.update(bar, completed=done, total=total))
    say(f"{root}: {', '.join(amounts)}")


def check(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets. Default, or `all`: those of the site.")] = None,
    site: SiteOption = "local",
    root: Annotated[
        Path | None,
        typer.Option("--root", callback=expanded, help="The folder of one data set, in place of the site's."),
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="That folder has a part of the data set: compare it with itself.")
    ] = False,
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Decode every image fully.")] = True,
    json: JsonOption = False,
) -> None:
    """Verify data sets: layout, counts, labels, unreadable files. Prints each problem and what to do."""
    from caebench.cli.show import print_lines
    from caebench.datasets.registry import PUBLISHED
    from caebench.report.datasets import check_sets, report_facts, report_lines
    from caebench.specs.site import SITES, load_site

    wanted = [] if names == ["all"] else names or []
    where = load_site(site)
    if not (wanted or where.data or root or subset):
        path, known = expanded(SITES / f"{site}.toml"), list(PUBLISHED)
        now = command("data", "check", known[0], "--root", "PATH", site=site)
        raise ValueError(
            f"{path}, [data]: no folder of a data set. Name one there, or check one now: {now}. "
            f"Known: {', '.join(known)}."
        )
    reports = check_sets(wanted, where, root, subset, decode)
    if json:
        print_json([report_facts(report) for report in reports])
    else:
        for report in reports:
            print_lines(report_lines(report))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)
