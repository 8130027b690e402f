"""Options that several verbs share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

SuiteName = Annotated[str, typer.Argument(help="A suite's name, a path to its TOML file, or `all`.")]
ScaleOption = Annotated[
    str | None, typer.Option("--scale", help="nano (CPU, minutes), lab (one GPU) or paper. Default: the site's.")
]
SiteOption = Annotated[str, typer.Option("--site", help="A file in ~/.config/caebench/sites, without .toml.")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="The folder of job folders. Default: the site's.")]
SeedsOption = Annotated[str, typer.Option("--seeds", help="Pretraining seeds, separated by commas.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_seeds(text: str) -> list[int]:
    """Seeds from `0,1,2`.

    Raises:
        ValueError: it is not a list of whole numbers, or one stands twice.
    """
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds {text!r}: give whole numbers separated by commas, such as 0,1,2.") from None
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"--seeds {text!r}: give different numbers, none below 0.")
    return seeds


def print_json(content: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, indent=2))
