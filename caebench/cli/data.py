"""`caebench data`: the embedded world, and checks of real data sets."""

from pathlib import Path
from typing import Annotated

import typer

from caebench.cli.options import JsonOption, SiteOption, print_json


def make(
    root: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    scale: Annotated[str, typer.Option("--scale", help="nano or lab: how many images of what size.")] = "nano",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Render the embedded data into ROOT, in the on-disk layouts of the real data sets."""
    from caebench.cli.setup import find_scale
    from caebench.data.world import render

    world = find_scale(scale).world
    if world is None:
        raise ValueError(f"--scale '{scale}': uses real data, so there is nothing to make. Choose nano or lab.")
    from rich.progress import Progress

    with Progress() as progress:
        bar = progress.add_task("rendering", total=None)
        render(world.replace(seed=seed), root, lambda done, total: progress.update(bar, completed=done, total=total))
    print(f"{root}: imagenet, food-101, domainnet, ADEChallengeData2016, coco")


def check(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; without any, all that the site names.")] = None,
    site: SiteOption = "local",
    root: Annotated[
        Path | None, typer.Option("--root", help="The folder of one data set, in place of the site's.")
    ] = None,
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Decode every image fully.")] = True,
    json: JsonOption = False,
) -> None:
    """Verify data sets: layout, counts, labels, unreadable files. Prints what is wrong and what to do."""
    from caebench.config.site import load_site
    from caebench.data.check import check as check_data
    from caebench.report.datasets import name_roots, print_report, report_facts

    roots = name_roots(names or [], load_site(site).data, root)
    reports = [check_data(name, folder, decode=decode) for name, folder in roots.items()]
    if json:
        print_json([report_facts(report) for report in reports])
    else:
        for report in reports:
            print_report(report)
    if not all(report.ok for report in reports):
        raise typer.Exit(1)
