"""The screens of the verbs that look, from a made-up store: on terminals of three widths, and piped."""

import contextlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from caebench.cli import main, show_status
from caebench.execution import devices
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.store.store import Store
from caebench.suites import loading as suites
from tests.golden.fake import fill

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (60, 80, 200)
CALLS = {  # of verbs, in a folder with the store `store`: the quickstart, half done
    "ls": ("ls",),
    "plan": ("plan", "quickstart", "--store", "empty"),
    "plan-half": ("plan", "quickstart"),
    "plan-paper": ("plan", "ablation-targets", "--scale", "paper"),
    "status": ("status",),
    "status-empty": ("status", "--store", "/no/store"),
    "status-half": ("status", "quickstart"),
    "status-all": ("status", "quickstart", "--all"),
    "why-cell": ("why", "quickstart/CAE, own d-VAE/LIN"),
    "why-job": ("why", "{job}"),
    "why-failed": ("why", "{failed}"),
    "report": ("report", "quickstart"),
    "report-empty": ("report", "pretraining-evaluation", "--vs", "paper,official", "--store", "/no/store"),
    "report-missing": ("report", "quickstart", "--missing"),
    "diff": ("diff", "cae", "cae:variant=vit_l,epochs=1600"),
    "store": ("store",),
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@contextlib.contextmanager
def half_done(folder: Path) -> Iterator[dict[str, str]]:
    """The store, as the place to work in; ids of jobs in it."""
    plan = make_plan(suites.load("quickstart"), SCALES["nano"], [0])
    fill(Store(folder / "store"), plan, skip="lr0.003", fail="finetune/sketch")
    here = Path.cwd()
    os.chdir(folder)
    gone = ("CAEBENCH_STORE", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE")
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    environment = {**kept, "HOME": str(folder), "CAEBENCH_STORE": "store", "TERM": "xterm"}
    try:
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(devices, "visible_gpus", return_value=[]),
            mock.patch.object(devices, "default_parallel", return_value=2),
        ):
            jobs = {job.name: job.id for job in plan.jobs}
            yield {
                "job": next(job for name, job in jobs.items() if name.startswith("pretrain/cae-dvae")),
                "failed": next(job for name, job in jobs.items() if "finetune/sketch" in name),
            }
    finally:
        os.chdir(here)
        shutil.rmtree(folder / "empty", ignore_errors=True)


def captured(name: str, jobs: dict[str, str], width: int | None) -> str:
    """What a verb prints on a terminal of that width, or piped; times and ids are made up."""
    words = [word.format(**jobs) for word in CALLS[name]]
    terminal = {} if width is None else {"COLUMNS": str(width), "FORCE_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, terminal),
        mock.patch("sys.argv", ["caebench", *words]),
        mock.patch.object(show_status, "_ago", return_value="5 s"),
        contextlib.redirect_stdout(io.StringIO()) as printed,
        contextlib.suppress(SystemExit),
    ):
        main()
    text = ANSI.sub("", printed.getvalue())
    assert width is not None or text == printed.getvalue(), "no colours where it is piped"
    text = re.sub(r"\b[0-9a-f]{10}\b", "0123456789", text)
    return re.sub(r"\(\d\d:\d\d\)", "(12:00)", text)


def write() -> None:
    """Every screen in each width, and piped."""
    from tempfile import TemporaryDirectory

    SCREENS.mkdir(exist_ok=True)
    for path in SCREENS.iterdir():
        path.unlink()
    with TemporaryDirectory() as folder, half_done(Path(folder)) as jobs:
        for name in CALLS:
            for width in (*WIDTHS, None):
                file = SCREENS / (f"{name}.tsv" if width is None else f"{name}-{width}.txt")
                file.write_text(captured(name, jobs, width), encoding="utf8")
