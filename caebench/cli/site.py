"""`caebench site`: a first site file, and a look at a site from inside its jobs."""

from pathlib import Path
from typing import Annotated

import typer

from caebench.cli.options import JsonOption, print_json


def init(
    name: Annotated[str, typer.Argument(help="The site's name: ~/.config/caebench/sites/<name>.toml.")],
    store: Annotated[Path, typer.Option("--store", help="A folder that every node sees.")],
    partition: Annotated[str | None, typer.Option("--partition", help="Default: the cluster's.")] = None,
) -> None:
    """Write a first site file from what SLURM says of itself."""
    from caebench.config.names import suggest
    from caebench.config.site import SITES
    from caebench.execution.sites import first_file, partitions

    path = (SITES / f"{name}.toml").expanduser()
    if path.exists():
        raise ValueError(f"{path}: is there already. Edit it, or choose another name.")
    if not store.is_absolute():
        raise ValueError(f"--store {store}: jobs start in other folders. Give an absolute path.")
    found = {known.name: known for known in partitions()}
    wanted = partition or next(iter(found), "")
    if wanted not in found:
        raise ValueError(f"--partition '{wanted}': unknown.{suggest(wanted, found)} Known: {', '.join(found)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(first_file(store, found[wanted]), encoding="utf8")
    print(f"{path}: written. Complete it, then: caebench site check {name}")


def check(
    name: Annotated[str, typer.Argument(help="A site with [slurm].")],
    every: Annotated[bool, typer.Option("--every", help="Every partition, not only the site's.")] = False,
    json: JsonOption = False,
) -> None:
    """Run a one-minute job on the site's partition, and say what it saw: device, processes, store, disk."""
    from caebench.cli.show import print_table
    from caebench.config.site import load_site
    from caebench.execution.sites import partitions, probe

    site = load_site(name)
    if site.slurm is None:
        raise ValueError(f"site '{name}': has no [slurm]. `caebench doctor` looks at this machine.")
    known = [partition.name for partition in partitions()]
    names = known if every else [site.slurm.partition or known[0]]
    found = probe(site, names)
    if json:
        print_json(found)
    else:
        rows = [[partition, what, str(value)] for partition, facts in found.items() for what, value in facts.items()]
        print_table(f"Site {name}", ["partition", "what", "found"], rows, words=True)
    if any(
        "failed" in facts or not facts["hear each other"] or not facts["store is shared"] for facts in found.values()
    ):
        raise typer.Exit(1)
