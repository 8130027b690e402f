"""`caebench eval`: some encoders, from file to table in one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from caebench.cli import completion
from caebench.cli.ckpt import ActivationOption, FamilyOption, HeadsOption, ManifestOption, PixelsOption
from caebench.cli.options import (
    RealOption,
    ScaleOption,
    SeedsOption,
    SiteOption,
    StoreOption,
    TakeOverOption,
    expanded,
    parse_seeds,
    say,
    scale_name,
)
from caebench.cli.run import (
    DirtyOption,
    DryRunOption,
    How,
    JobsOption,
    PackOption,
    ParallelismOption,
    SeparateOption,
    YesOption,
    run_setup,
)
from caebench.cli.running import Asked as RunAsked

if TYPE_CHECKING:
    from caebench.execution.checkpoints import Given
    from caebench.suites.suite import Suite

UNSAVED = Path("evaluation.toml")  # what a suite is called that is not written


def evaluate(
    encoders: Annotated[
        list[str],
        typer.Argument(help="Checkpoints; timm:NAME; ids of jobs with an encoder; SUITE/ROW.", metavar="ENCODER..."),
    ],
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            autocompletion=completion.evaluations,
            help="Evaluations: linear,attentive,knn,finetune,ade20k,coco,knn:imagenet_v2.",
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", autocompletion=completion.suites, help="A suite whose columns and settings are taken."),
    ] = None,
    compare_with: Annotated[
        str | None,
        typer.Option(
            "--compare-with",
            autocompletion=completion.published_rows,
            help="Ids of suites' rows: their published numbers are shown.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", callback=expanded, help="Write the suite that it is to this file."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", help="The file of the weights of timm:NAME; of several, in their order."),
    ] = None,
    family: FamilyOption = None,
    num_heads: HeadsOption = None,
    pixel_stats: PixelsOption = None,
    activation: ActivationOption = None,
    manifest: ManifestOption = None,
    scale: ScaleOption = None,
    real: RealOption = False,
    seeds: SeedsOption = None,
    site: SiteOption = "local",
    store: StoreOption = None,
    jobs: JobsOption = None,
    pack: PackOption = None,
    parallelism: ParallelismOption = None,
    separate: SeparateOption = False,
    dry_run: DryRunOption = False,
    dirty: DirtyOption = False,
    yes: YesOption = False,
    take_over: TakeOverOption = False,
) -> None:
    """Evaluate encoders: import what is a file, run what is missing, print the table.

    Without --on: linear and attentive probe, k-NN, and linear segmentation, all on frozen encoders. The jobs are those
    of a suite with these rows and columns, so what is done is not done again. With --dry-run files are imported, too.
    """
    from caebench.execution.checkpoints import Given
    from caebench.planning.setup import set_up_suites
    from caebench.suites.evaluation import text_of

    scale, given = scale_name(scale, real), Given(num_heads, family, pixel_stats, manifest, activation)
    asked = Asked(encoders, _names("--on", on), like, _names("--compare-with", compare_with), weights or ())
    suite, files = _suite(asked, given, scale, site, store, save or UNSAVED)
    setup = set_up_suites(suite.name, [suite], scale, site, store, parse_seeds(seeds))
    run = RunAsked(None if save is None else str(save), scale, seeds, site, store)
    if save is not None:
        _save(text_of(suite, files), save, is_written=not dry_run)
    if save is not None and not dry_run:
        say(f"{save}: written. `{run.command('run', str(save), with_seeds=True)}` runs the same jobs.")
    how = How(jobs, pack, parallelism, separate, dry_run, dirty, yes, take_over)
    run_setup(setup, how, run)


class Asked(NamedTuple):
    """Which encoders, and which columns."""

    encoders: Sequence[str]
    on: Sequence[str]
    like: str | None
    compare_with: Sequence[str]
    weights: Sequence[Path]


def _suite(
    asked: Asked, given: "Given", scale: str | None, site: str, store: Path | None, path: Path
) -> "tuple[Suite, dict[str, str]]":
    """The suite that it is, and the files of its rows; they are imported after the other words were found right."""
    from caebench.execution.encoders import encoder_rows, require_one_file
    from caebench.planning.setup import open_store
    from caebench.planning.site_data import scale_on
    from caebench.specs.site import load_site
    from caebench.suites.evaluation import columns_named, evaluation_suite, quoted_row

    where = load_site(site)
    columns = columns_named(asked.on, asked.like, where.data)
    quoted = [quoted_row(name) for name in asked.compare_with]
    jobs = open_store(where, store)
    require_one_file(asked.encoders, given)
    rows, files = encoder_rows(asked.encoders, asked.weights, given, jobs, where, scale_on(where, scale, jobs))
    return evaluation_suite([*rows, *quoted], columns, path), files


def _names(option: str, text: str | None) -> list[str]:
    """The names in a list with commas.

    Raises:
        ValueError: one is empty.
    """
    names = [] if text is None else [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"{option} '{text}': an empty name. Give names with commas between them.")
    return list(dict.fromkeys(names))


def _save(text: str, path: Path, is_written: bool) -> None:
    """Write a suite's text, or only check that it could be.

    Raises:
        ValueError: another file is there.
    """
    from caebench.files.atomic import write_text

    if not path.parent.is_dir():
        raise ValueError(f"--save {path}: no such folder: {path.parent}. Make it, or give another name.")
    if path.suffix != ".toml":
        raise ValueError(f"--save {path}: a suite is a TOML file. Give a name that ends in .toml.")
    if path.exists() and (not path.is_file() or _content(path.read_text(encoding="utf8")) != _content(text)):
        raise ValueError(f"--save {path}: something else is there. Give another name, or remove it.")
    if is_written:
        write_text(path, text)


def _content(text: str) -> list[str]:
    """The lines of a suite's text without comments, which say where files were."""
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]
