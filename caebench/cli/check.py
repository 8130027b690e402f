"""`caebench check`: whether a method, an evaluation, a data set or a suite keeps its promises."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caebench.cli import completion
from caebench.cli.options import JsonOption, SiteOption, print_json, say

if TYPE_CHECKING:
    from caebench.contracts.checking import Finding

Name = Annotated[
    str,
    typer.Argument(
        help="A method's recipe, an evaluation, a data set or a suite.",
        metavar="NAME",
        autocompletion=completion.suites,
    ),
]


def check(name: Name, site: SiteOption = "local", json: JsonOption = False) -> None:
    """Run the contract tests of one method, evaluation, data set or suite, of a plug-in or of caebench.

    Most take seconds. Exit status 1 if one fails.
    """
    from tempfile import TemporaryDirectory

    from caebench.contracts.checking import find, run_checks

    subject = find(name)
    findings: list[Finding] = []
    if not json:
        say(f"{subject.kind} {subject.name}")
    with TemporaryDirectory(prefix="caebench-check-") as folder:
        for finding in run_checks(subject, Path(folder)):
            findings.append(finding)
            if not json:
                say(f"  {'ok' if finding.ok else 'FAILED':<6}  {finding.check} ({finding.seconds:.1f} s)")
                if not finding.ok:
                    say(f"          {finding.what}. {finding.do}.")
    failed = sum(not finding.ok for finding in findings)
    if json:
        print_json({"name": subject.name, "kind": subject.kind, "checks": [vars(finding) for finding in findings]})
    else:
        say(f"{len(findings)} checks, {failed} failed" if failed else f"{len(findings)} checks, all ok")
    if failed:
        raise typer.Exit(1)
