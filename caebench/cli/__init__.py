"""The command line: verbs that parse, call and print. Heavy modules are imported only where they are used.

Exit status: 0 done, 1 a job failed, 2 the user's mistake.
"""

import io
import sys

import typer

from caebench.cli import assets, bench, ckpt, data, diff, follow, inspect, report, run, site, status, store
from caebench.cli.options import say
from caebench.cli.usage import Group

app = typer.Typer(
    cls=Group,
    help="Benchmarks for self-supervised vision: one command from a suite file to the tables of the CAE paper.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run_app = typer.Typer(help="Run a suite, or one job.", no_args_is_help=True)
data_app = typer.Typer(help="Render the synthetic data sets, check real ones.", no_args_is_help=True)
app.add_typer(run_app, name="run")
records_app = typer.Typer(help="Keep records of finished jobs in git.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(records_app, name="records")
site_app = typer.Typer(help="Describe a cluster, and check it from inside its jobs.", no_args_is_help=True)
app.add_typer(site_app, name="site")

assets_app = typer.Typer(help="Fetch and check released files that suites name.", no_args_is_help=True)
app.add_typer(assets_app, name="assets")
ckpt_app = typer.Typer(help="Read, check, import and export encoder files.", no_args_is_help=True)
app.add_typer(ckpt_app, name="ckpt")

bench_app = typer.Typer(help="Measure speed, compared with a plain implementation.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")

app.command("ls")(inspect.list_suites)
app.command("plan")(inspect.plan)
app.command("status")(status.status)
app.command("why")(inspect.why)
app.command("diff")(diff.diff)
app.command("doctor")(inspect.doctor)
app.command("store")(store.store)
app.command("logs")(follow.logs)
app.command("cancel")(follow.cancel)
app.command("retry")(follow.retry)
app.command("report")(report.report)
site_app.command("init")(site.init)
site_app.command("check")(site.check)
records_app.command("export")(report.export_records)
run_app.command("suite")(run.run_suite)
run_app.command("job")(run.run_one_job)
data_app.command("make")(data.make)
data_app.command("check")(data.check)
assets_app.command("list")(assets.list_assets)
assets_app.command("fetch")(assets.fetch)
assets_app.command("verify")(assets.verify)
bench_app.command("pretrain")(bench.pretrain)
bench_app.command("probe")(bench.probe)
bench_app.command("pass")(bench.shared_pass)
bench_app.command("data")(bench.data)
bench_app.command("plan")(bench.plan)
bench_app.command("ablate")(bench.ablate)
bench_app.command("calibrate")(bench.calibrate)
ckpt_app.command("inspect")(ckpt.inspect)
ckpt_app.command("families")(ckpt.families)
ckpt_app.command("import")(ckpt.import_file)
ckpt_app.command("verify")(ckpt.verify)
ckpt_app.command("export")(ckpt.export)


def main() -> None:
    """Run the command line; a user's mistake is one line, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console may have no character for a lambda or a dagger
    try:
        app()
    except (ValueError, OSError) as error:
        say(f"error: {_line(error)}", to=sys.stderr)
        raise SystemExit(2) from error


def _line(error: Exception) -> str:
    from caebench.files.permissions import denied

    return denied(error) if isinstance(error, PermissionError) else str(error)
