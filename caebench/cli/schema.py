"""`caebench schema`: what suite and site files may say, as JSON Schema."""

from typing import Annotated, Literal

import typer

from caebench.cli.options import print_json

What = Annotated[Literal["suite", "site"], typer.Argument(help="Of which kind of file.")]


def schema(what: What) -> None:
    """Print the JSON Schema of suite or site files, which editors check and complete them by."""
    from caebench.specs.plugins import use_site
    from caebench.specs.schema import site_schema
    from caebench.suites.schema import suite_schema

    use_site()
    print_json(suite_schema() if what == "suite" else site_schema())
