"""Options that several verbs share."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from caebench.cli import completion


def expanded(path: Path | None) -> Path | None:
    """A path that an option or argument was given, with `~` and `$NAME` filled in.

    Raises:
        ValueError: a variable is not set, or there is no such home folder.
    """
    from caebench.files.paths import expand

    return None if path is None else expand(path)


def with_plugins(context: typer.Context, site: str) -> str:
    """The name of a site, once its plug-ins are registered: whatever the verb reads first may name what is theirs.

    Raises:
        ValueError: a plug-in cannot be used.
    """
    if not context.resilient_parsing:  # a shell completes a word
        from caebench.specs.plugins import use_site

        use_site(site)
    return site


SuiteName = Annotated[
    str,
    typer.Argument(help="A suite's name, a path to its TOML file, or `all`.", autocompletion=completion.suites),
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="|".join(completion.SCALES),
        autocompletion=completion.scales,
        help="nano (CPU, minutes), lab (one GPU) or paper. Default: the site's.",
    ),
]
SITE_HELP = "A file in ~/.config/caebench/sites, without .toml."
SiteOption = Annotated[
    str,
    typer.Option("--site", autocompletion=completion.sites, callback=with_plugins, help=SITE_HELP),
]
PlainSiteOption = Annotated[  # of verbs that work with a broken plug-in, too
    str, typer.Option("--site", autocompletion=completion.sites, help=SITE_HELP)
]
RealOption = Annotated[
    bool,
    typer.Option("--real", help="With --scale nano or lab: the site's data, as scale nano-real or lab-real."),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", readable=False, callback=expanded, help="The folder of job folders. Default: the site's."),
]  # whether it can be read is not typer's to say: `files.permissions`
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", help="Pretraining seeds, separated by commas.", show_default="0")
]
TakeOverOption = Annotated[
    bool, typer.Option("--take-over", help="First end leases whose holders cannot be checked from here.")
]
AllOption = Annotated[bool, typer.Option("--all", help="A line for each job that is done, too.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_seeds(text: str | None) -> list[int]:
    """Seeds from `0,1,2`; seed 0 if none are given.

    Raises:
        ValueError: it is not a list of different whole numbers.
    """
    if text is None:
        return [0]
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds {text!r}: give whole numbers separated by commas, such as 0,1,2.") from None
    if len(seeds) > MOST_SEEDS or max(seeds) >= 2**32:
        raise ValueError(f"--seeds: {len(seeds)} seeds. Give at most {MOST_SEEDS}, each below 2**32.")
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"--seeds {text!r}: give different numbers, none below 0.")
    return seeds


NAME = "caebench"
MOST_SEEDS = 1_000
MOST_ROWS = 500  # of a table of jobs; --json has all


def scale_name(scale: str | None, real: bool) -> str | None:
    """The name of the scale that --scale and --real ask for.

    Raises:
        ValueError: --real without a small scale.
    """
    if not real:
        return scale
    if scale not in ("nano", "lab"):
        given = "" if scale is None else f" with --scale {scale}"
        raise ValueError(f"--real{given}: it is for --scale nano and --scale lab. Name one; paper reads real data.")
    return f"{scale}-real"


def reject_options(why: str, **given: object) -> None:
    """Check that none of some options was given, because this command cannot use them here.

    Raises:
        ValueError: one was; the error names it, its value, and why.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            shown = "" if value is True else f" {value}"
            raise ValueError(f"--{name.replace('_', '-')}{shown}: {why}")


def reject_for_a_job(name: str, scale: str | None, seeds: str | None = None) -> None:
    """Check that a job's id is not given together with the options that choose a suite's jobs.

    Raises:
        ValueError: it is.
    """
    from caebench.planning.setup import is_suite

    if not is_suite(name):
        why = f"'{name}' is a job's id, which fixes its scale and seed. Leave it out."
        reject_options(why, scale=scale, seeds=seeds)


def command(
    *words: str,
    scale: str | None = None,
    seeds: str | None = None,
    site: str = "local",
    store: Path | None = None,
) -> str:
    """A command to paste, with the options that this one was given. It works as printed: see `program`."""
    given = {"--scale": scale, "--seeds": seeds, "--site": None if site == "local" else site, "--store": store}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    return shlex.join([*program(), *words, *options])


def program() -> list[str]:
    """How this program is called again: by its name if that is what a shell finds, or else as it was started."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return [sys.executable, "-m", NAME]
    found = shutil.which(NAME)
    is_found = found is not None and started.exists() and os.path.samefile(found, started)
    return [NAME if is_found or os.sep not in sys.argv[0] else sys.argv[0]]


def same_again() -> str:
    """The command that this one is, to paste."""
    return shlex.join([*program(), *sys.argv[1:]])


def nothing_in(root: Path, site: str, store: Path | None) -> str:
    """Where was looked for jobs, and what to run, if there are none."""
    whose = "given with --store" if store else f"of site '{site}', or of CAEBENCH_STORE"
    there = "no job is in it" if root.is_dir() else "there is no such folder yet"
    run = command("run", "quickstart", site=site, store=store)
    return f"Store {root.absolute()}, {whose}: {there}. `{run}` fills it in minutes; `caebench ls` lists suites."


def say(text: str, to: TextIO | None = None, end: str = "\n") -> None:
    """Print lines on standard output, or on another stream; control characters are shown."""
    from caebench.files.visible import visible

    print(visible(text), file=to, end=end, flush=True)


def print_json(content: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=2))
