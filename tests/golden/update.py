"""Write identity.toml, defaults.toml, help, reports and screens anew: `.venv/bin/python -m tests.golden.update`.

Only for a change that is meant: a job whose id moves is computed again, at paper scale for thousands of GPU-hours. Say
in the commit's last line what moved and why (`Identity: pretrain/cae v1 -> v2, because ...`).
"""

import contextlib
import io
import json
import re
import tempfile
from pathlib import Path

from caebench.cli.report import print_tables
from caebench.planning.graph import make_plan
from caebench.planning.scale import SCALES
from caebench.report.reports import Reports
from caebench.specs.base import Config
from caebench.specs.identity import bears_result, canonical, full
from caebench.store.records import Records
from caebench.store.store import Store
from caebench.suites import loading as suites
from caebench.suites.published import parse_sets
from tests.golden.fake import fill
from tests.golden.help import rendered
from tests.golden.screens import write as write_screens

HERE = Path(__file__).parent
REPORTS = HERE / "reports"
FORMATS = {"rich": ".txt", "md": ".md", "csv": ".csv", "tex": ".tex", "json": ".json", "tsv": ".tsv"}
IN_EVERY_FORMAT = ("pretraining-evaluation", "quickstart")  # the others as JSON: one renderer makes them all
SEEDS = [0, 1, 2]
OF_NO_ID = {f"caebench.specs.{name}" for name in ("assets", "calibration", "scheduler", "site", "slurm")}
Content = dict[str, dict[str, str]]


def identities() -> Content:
    """The job id of every cell at paper scale, by suite."""
    found: Content = {}
    for name in suites.names():
        plan = make_plan(suites.load(name), SCALES["paper"], [0])
        found[name] = {
            f"{plan.suite.rows.index(cell.row) + 1} {cell.row.label} | {cell.column.header}": cell.jobs[0].id
            for cell in plan.cells
            if cell.jobs
        }
    return found


def defaults() -> Content:
    """Every default of every config that can enter an id, as JSON, by class."""
    return {
        cls.__name__: {
            field: _text(about.get_default(call_default_factory=True))
            for field, about in cls.model_fields.items()
            if not about.is_required() and bears_result(about)
        }
        for cls in sorted(_subclasses(Config), key=lambda cls: cls.__name__)
        if cls.__module__.startswith("caebench.specs.") and cls.__module__ not in OF_NO_ID
    }


def _subclasses(cls: type[Config]) -> set[type[Config]]:
    return {found for child in cls.__subclasses__() for found in (child, *_subclasses(child))}


def _text(value: object) -> str:
    return json.dumps(full(value) if isinstance(value, Config) else canonical(value))


def write(path: Path, content: Content) -> None:
    """As TOML: a table a section; a JSON string is a TOML string too."""
    lines = [f"# Written by tests/golden/{Path(__file__).name}; see there before changing it."]
    for section, values in content.items():
        lines += ["", f"[{json.dumps(section)}]"]
        lines += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")


def render(suite: str, folder: Path) -> dict[str, str]:
    """A suite's report at paper scale, from made-up results: some are missing, some failed."""
    store = Store(folder)
    plan = make_plan(suites.load(suite), SCALES["paper"], SEEDS)
    fill(store, plan, skip="vit_l-1600e-s2", fail="finetune/sketch")
    reports = Reports(SCALES["paper"], Records(store), parse_sets("paper,official"), SEEDS)
    texts: dict[str, str] = {}
    for format in FORMATS if suite in IN_EVERY_FORMAT else ("json",):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            print_tables(reports, [plan.suite], format)
        texts[format] = re.sub(r"-[0-9a-f]{10}\b", "-(id)", printed.getvalue())  # ids have a file of their own
    return texts


def write_reports() -> None:
    """One file a suite and format."""
    REPORTS.mkdir(exist_ok=True)
    for path in REPORTS.iterdir():
        path.unlink()
    for suite in suites.names():
        with tempfile.TemporaryDirectory() as folder:
            for format, text in render(suite, Path(folder)).items():
                (REPORTS / f"{suite}{FORMATS[format]}").write_text(text, encoding="utf8")


if __name__ == "__main__":
    (HERE / "help.txt").write_text(rendered(), encoding="utf8")
    write_reports()
    write_screens()
    write(HERE / "identity.toml", identities())
    write(HERE / "defaults.toml", defaults())
