"""`caebench diff`: two configs field by field."""

from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import JsonOption, SiteOption, StoreOption, print_json

if TYPE_CHECKING:
    from caebench.report.diff import Difference

NAMED = (
    "a recipe (cae, cae:variant=vit_l,epochs=1600), a preset (official, mmpretrain), a cell SUITE/ROW/COLUMN, a "
    "pretraining SUITE/ROW, or the beginning of a job's id"
)


def diff(
    a: Annotated[
        str, typer.Argument(help=f"One config: {NAMED}.", metavar="A", autocompletion=completion.jobs_and_cells)
    ],
    b: Annotated[
        str,
        typer.Argument(
            help="The other, named in the same ways.", metavar="B", autocompletion=completion.jobs_and_cells
        ),
    ],
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar="|".join(completion.SCALES),
            autocompletion=completion.scales,
            help="Of recipes and cells. Presets are at paper scale.",
        ),
    ] = "paper",
    site: SiteOption = "local",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two configs field by field: two jobs, a cell with a recipe, a recipe with the official code."""
    from caebench.planning.scale import find_scale
    from caebench.planning.setup import open_store
    from caebench.report.diff import compare, facts
    from caebench.specs.site import load_site

    difference = compare(a, b, find_scale(scale), open_store(load_site(site), store))
    if json:
        print_json(facts(difference))
    else:
        _show(difference)


def _show(difference: "Difference") -> None:
    from caebench.cli.show import print_lines, print_table

    title = f"{difference.a} and {difference.b}, {difference.kind}"
    if difference.changes:
        rows = [[change.field, str(change.a), str(change.b)] for change in difference.changes]
        print_table(title, ["field", difference.a, difference.b], rows, difference.notes)
        return
    print_lines([f"{title}: equal in every field that can change a number.", *difference.notes])
