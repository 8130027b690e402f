"""The command line: verbs that parse, call and print. Heavy modules are imported only where they are used.

Exit status: 0 done, 1 a job failed, 2 the user's mistake.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from caebench.cli import (
    assets,
    bench,
    check,
    ckpt,
    data,
    diff,
    evaluate,
    follow,
    inspect,
    new,
    report,
    run,
    schema,
    site,
    status,
    store,
    suites,
)
from caebench.cli.groups import HELP, RunGroup
from caebench.cli.options import say
from caebench.cli.usage import MainGroup


class Group(NamedTuple):
    """A verb that has verbs."""

    panel: str  # of `caebench --help`
    help: str


class Verb(NamedTuple):
    """A verb: what it calls, and an example."""

    call: Callable[..., None]
    example: str
    panel: str = ""  # of `caebench --help`; empty for a verb of a group


EVALUATE, RUN, LOOK = "Evaluate", "Run", "Look"
DATA, CLUSTER, DEVELOP = "Data", "Cluster", "Develop"
GROUPS = {
    "ckpt": Group(EVALUATE, "Read, check, import and export encoder files."),
    "run": Group(RUN, "Run a suite: `run NAME`. Or one job."),
    "data": Group(DATA, "Render the synthetic data sets, check real ones."),
    "assets": Group(DATA, "Fetch and check released files that suites name."),
    "records": Group(DATA, "Keep records of finished jobs in git."),
    "site": Group(CLUSTER, "Describe a cluster, and check it from inside its jobs."),
    "new": Group(DEVELOP, "Write a method, an evaluation or a suite to begin with."),
    "suites": Group(DEVELOP, "Check suite files."),
    "bench": Group(DEVELOP, "Measure speed, compared with a plain implementation."),
}
VERBS = {
    "eval": Verb(evaluate.evaluate, "caebench eval vit.pth --on linear,attentive,knn", EVALUATE),
    "ckpt inspect": Verb(ckpt.inspect, "caebench ckpt inspect mae_pretrain_vit_base.pth"),
    "ckpt import": Verb(ckpt.import_file, "caebench ckpt import mae_pretrain_vit_base.pth"),
    "ckpt verify": Verb(ckpt.verify, "caebench ckpt verify 98cac62a22 --data imagenet1k"),
    "ckpt export": Verb(ckpt.export, "caebench ckpt export 98cac62a22 --to timm"),
    "ckpt families": Verb(ckpt.families, "caebench ckpt families"),
    "plan": Verb(inspect.plan, "caebench plan ablation-mask-ratio --scale paper", RUN),
    "run suite": Verb(run.run_suite, "caebench run suite quickstart --seeds 0,1,2"),
    "run job": Verb(run.run_one_job, "caebench run job 98cac62a22"),
    "retry": Verb(follow.retry, "caebench retry ablation-targets --site cluster", RUN),
    "ls": Verb(inspect.list_suites, "caebench ls", LOOK),
    "status": Verb(status.status, "caebench status ablation-targets --watch", LOOK),
    "report": Verb(report.report, "caebench report --table 2 --vs paper,official", LOOK),
    "why": Verb(inspect.why, "caebench why 'ablation-targets/T8-RGB pixels/linear'", LOOK),
    "diff": Verb(diff.diff, "caebench diff cae official", LOOK),
    "data make": Verb(data.make, "caebench data make ./pictures --scale nano"),
    "data check": Verb(data.check, "caebench data check imagenet1k --root /data/imagenet"),
    "assets list": Verb(assets.list_assets, "caebench assets list"),
    "assets fetch": Verb(assets.fetch, "caebench assets fetch dalle_encoder"),
    "assets verify": Verb(assets.verify, "caebench assets verify"),
    "records export": Verb(report.export_records, "caebench records export"),
    "store": Verb(store.store, "caebench store --delete", DATA),
    "site init": Verb(site.init, "caebench site init cluster --store /shared/caebench"),
    "site check": Verb(site.check, "caebench site check cluster"),
    "logs": Verb(follow.logs, "caebench logs 98cac62a22 -f --site cluster", CLUSTER),
    "cancel": Verb(follow.cancel, "caebench cancel ablation-targets --site cluster", CLUSTER),
    "suites check": Verb(suites.check, "caebench suites check mine.toml"),
    "new method": Verb(new.method, "caebench new method mymethod"),
    "new evaluation": Verb(new.evaluation, "caebench new evaluation myprobe --out lab"),
    "new suite": Verb(new.suite, "caebench new suite mine"),
    "check": Verb(check.check, "caebench check mae", DEVELOP),
    "schema": Verb(schema.schema, "caebench schema suite > suite.schema.json", DEVELOP),
    "bench pretrain": Verb(bench.pretrain, "caebench bench pretrain --variant vit_b"),
    "bench probe": Verb(bench.probe, "caebench bench probe --variant vit_b"),
    "bench pass": Verb(bench.shared_pass, "caebench bench pass --variant vit_b"),
    "bench data": Verb(bench.data, "caebench bench data"),
    "bench plan": Verb(bench.plan, "caebench bench plan --scale paper"),
    "bench ablate": Verb(bench.ablate, "caebench bench ablate --variant vit_b"),
    "bench calibrate": Verb(bench.calibrate, "caebench bench calibrate --site cluster"),
    "doctor": Verb(inspect.doctor, "caebench doctor --site cluster", DEVELOP),
}
EXAMPLES = {"run": "caebench run quickstart"}  # of groups; else that of the first verb
ORDER = list(dict.fromkeys(words.partition(" ")[0] for words in VERBS))


class Root(MainGroup):
    """Lists verbs and groups by panel, in the order of `VERBS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of its verbs."""
        return sorted(self.commands, key=ORDER.index)


def _version(wanted: bool) -> None:
    if wanted:
        from caebench import __version__

        print(f"caebench {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Benchmarks for self-supervised vision: one command from a suite file to the tables of the CAE paper."""


def make_app() -> typer.Typer:
    """The command line with all its verbs."""
    made = typer.Typer(
        cls=Root,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(reversed(HELP))},
    )
    made.callback(epilog="Example: caebench run quickstart")(_root)
    groups: dict[str, typer.Typer] = {}
    for name, group in GROUPS.items():
        first = next(verb.example for words, verb in VERBS.items() if words.startswith(f"{name} "))
        groups[name] = typer.Typer(cls=RunGroup if name == "run" else None, no_args_is_help=True)
        epilog = f"Example: {EXAMPLES.get(name, first)}"
        made.add_typer(groups[name], name=name, help=group.help, rich_help_panel=group.panel, epilog=epilog)
    for words, verb in VERBS.items():
        group, _, name = words.rpartition(" ")
        to, epilog = groups[group] if group else made, f"Example: {verb.example}"
        to.command(name, rich_help_panel=verb.panel or None, epilog=epilog)(verb.call)
    return made


app = make_app()


def main() -> None:
    """Run the command line; a user's mistake is one line, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console may have no character for a lambda or a dagger
    try:
        require_folder()
        app(prog_name="caebench")
    except (ValueError, OSError) as error:
        say(f"error: {_line(error)}", to=sys.stderr)
        raise SystemExit(2) from error


def require_folder() -> None:
    """Check the folder that the command runs in: relative paths begin there.

    Raises:
        ValueError: it was deleted, or this user may not know it.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise ValueError(f"the current folder cannot be used: {error.strerror}. Change to one that exists.") from error


def _line(error: Exception) -> str:
    from caebench.files.permissions import denied

    return denied(error) if isinstance(error, PermissionError) else str(error)
