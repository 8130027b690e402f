"""`caebench suites`: checks of suite files."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from caebench.cli.options import JsonOption, print_json, say

if TYPE_CHECKING:
    from caebench.planning.checking import Checked

SuiteNames = Annotated[list[str], typer.Argument(help="Suite files, names of suites, or `all`.", metavar="SUITE...")]


def check(names: SuiteNames, json: JsonOption = False) -> None:
    """Check suite files, and list all mistakes of each: one line per mistake. Needs no data.

    Exit status 2 if there is a mistake.
    """
    from caebench.planning.checking import check_file
    from caebench.specs.plugins import use_site
    from caebench.suites.loading import find_all

    use_site()
    found = [check_file(path) for name in names for path in find_all(name)]
    if json:
        print_json([_facts(one) for one in found])
    else:
        for one in found:
            say("\n".join(one.mistakes) or _summary(one))
    if any(one.mistakes for one in found):
        raise typer.Exit(2)


def _facts(one: "Checked") -> dict[str, Any]:
    facts: dict[str, Any] = {"file": str(one.path), "mistakes": list(one.mistakes)}
    if one.plan is not None:
        suite = one.plan.suite
        facts |= {"rows": len(suite.rows), "columns": len(suite.columns), "claims": len(suite.claims)}
        facts |= {"jobs": len(one.plan.jobs), "notes": one.plan.notes}
    return facts


def _summary(one: "Checked") -> str:
    facts = _facts(one)
    counts = ", ".join(f"{facts[name]} {name}" for name in ("rows", "columns", "claims", "jobs"))
    return "\n".join([f"{one.path}: no mistake. {counts}.", *facts["notes"]])
