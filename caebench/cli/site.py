"""`caebench site`: a first site file, and a check of a site from inside its jobs."""

from pathlib import Path
from typing import Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import JsonOption, command, expanded, print_json, say


def init(
    name: Annotated[str, typer.Argument(help="The site's name: ~/.config/caebench/sites/<name>.toml.")],
    store: Annotated[Path, typer.Option("--store", callback=expanded, help="A folder that every node sees.")],
    partition: Annotated[str | None, typer.Option("--partition", help="Default: the cluster's.")] = None,
) -> None:
    """Write a first site file from the scheduler's own information."""
    from caebench.execution.schedulers.registry import present_scheduler
    from caebench.files.atomic import write_text
    from caebench.files.paths import expand
    from caebench.specs.did_you_mean import suggest
    from caebench.specs.site import SITES

    path = expand(SITES / f"{name}.toml")
    if path.exists():
        raise ValueError(f"{path}: already exists. Edit it, or choose another name.")
    if not store.is_absolute():
        raise ValueError(f"--store {store}: jobs start in other folders. Give an absolute path.")
    scheduler = present_scheduler()
    found = scheduler.partitions()
    wanted = partition or next(iter(found), "")
    if wanted not in found:
        raise ValueError(f"--partition '{wanted}': unknown.{suggest(wanted, found)} Known: {', '.join(found)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, scheduler.first_site_file(store, wanted))
    say(f"{path}: written. Complete it, then: caebench site check {name}")


def check(
    name: Annotated[str, typer.Argument(help="A site with \\[slurm].", autocompletion=completion.sites)],
    every: Annotated[bool, typer.Option("--every", help="Every partition, not only the site's.")] = False,
    json: JsonOption = False,
) -> None:
    """Run a one-minute job on the site's partition, and report what it found: device, processes, store, disk."""
    from caebench.cli.show import print_table
    from caebench.execution.schedulers.registry import scheduler_of
    from caebench.specs.site import load_site

    site = load_site(name)
    scheduler, section = scheduler_of(site), site.section
    if scheduler is None or section is None:
        raise ValueError(f"site '{name}': has no [slurm]. `{command('doctor', site=name)}` checks this machine.")
    known = scheduler.partitions()
    found = scheduler.probe(site, known if every else [section.partition or known[0]])
    if json:
        print_json(found)
    else:
        rows = [[partition, what, str(value)] for partition, facts in found.items() for what, value in facts.items()]
        print_table(f"Site {name}", ["partition", "what", "found"], rows, words=True)
    if any(
        "failed" in facts or not facts["hear each other"] or not facts["store is shared"] for facts in found.values()
    ):
        raise typer.Exit(1)
