"""`caebench report`: a suite's table from what is in the store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli.options import JsonOption, ScaleOption, SeedsOption, SiteOption, StoreOption, parse_seeds, print_json

if TYPE_CHECKING:
    from caebench.cli.setup import Setup


def report(
    table: Annotated[int | None, typer.Option("--table", help="A table of the paper, by its number.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="A suite, by its name or file.")] = None,
    scale: ScaleOption = None,
    seeds: SeedsOption = "0",
    site: SiteOption = "local",
    store: StoreOption = None,
    format: Annotated[str, typer.Option("--format", help="rich, md or csv.")] = "rich",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write <suite>-<scale>.md and .csv into this folder.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print a suite's table: ours, with spread over seeds, beside the paper's."""
    from caebench import suites
    from caebench.cli.setup import set_up_table

    if (table is None) == (suite is None):
        raise ValueError("report: give either --table N or --suite NAME. `caebench ls` lists both.")
    if format not in ("rich", "md", "csv"):
        raise ValueError(f"--format '{format}': unknown. Known: rich, md, csv.")
    found = suites.find_table(table) if table is not None else suites.load(str(suite))
    setup = set_up_table(found, scale, site, store, parse_seeds(seeds))
    show_report(setup, "json" if json else format, out)


def show_report(setup: "Setup", format: str, out: Path | None = None) -> None:
    """Print, and write where asked."""
    from caebench.report import render
    from caebench.report.table import entries

    plan, rows = setup.plan, entries(setup.plan, setup.store)
    num_seeds = max(len(cell.jobs) for cell in plan.cells)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        stem = out / f"{plan.table.name}-{plan.scale.name}"
        stem.with_suffix(".md").write_text(render.markdown(plan, rows, num_seeds), encoding="utf8")
        stem.with_suffix(".csv").write_text(render.comma_separated(plan, rows), encoding="utf8")
    match format:
        case "json":
            print_json({"suite": plan.table.name, "scale": plan.scale.name, "cells": render.facts(plan, rows)})
        case "md":
            print(render.markdown(plan, rows, num_seeds), end="")
        case "csv":
            print(render.comma_separated(plan, rows), end="")
        case _:
            from caebench.cli.show import print_table

            print_table(
                render.title(plan, num_seeds), render.header(plan), render.lines(plan, rows), render.notes(plan, rows)
            )
