"""Write identity.toml, defaults.toml and the reports anew: `.venv/bin/python tests/golden/update.py`.

Only for a change that is meant: a job whose id moves is computed again, at paper scale for thousands of GPU-hours. Say
in the commit's last line what moved and why (`Identity: pretrain/cae v1 -> v2, because ...`).
"""

import contextlib
import io
import json
import re
import tempfile
from pathlib import Path

from fake import fill

from caebench import suites
from caebench.cli.report import print_tables
from caebench.config import augmentation, compared, data, method, optim, stage
from caebench.config.base import Config
from caebench.plan.graph import make_plan
from caebench.plan.identity import canonical, full
from caebench.plan.scale import SCALES
from caebench.plan.store import Store
from caebench.published import parse_sets
from caebench.report.records import Records
from caebench.report.reports import Reports

HERE = Path(__file__).parent
REPORTS = HERE / "reports"
FORMATS = {"rich": ".txt", "md": ".md", "csv": ".csv", "tex": ".tex", "json": ".json"}
SEEDS = [0, 1, 2]
Content = dict[str, dict[str, str]]


def identities() -> Content:
    """The job id of every cell at paper scale, by suite."""
    found: Content = {}
    for name in suites.names():
        plan = make_plan(suites.load(name), SCALES["paper"], [0])
        found[name] = {
            f"{plan.table.rows.index(cell.row) + 1} {cell.row.label} | {cell.column.header}": cell.jobs[0].id
            for cell in plan.cells
            if cell.jobs
        }
    return found


def defaults() -> Content:
    """Every default of every config that can enter an id, as JSON, by class."""
    found: Content = {}
    for module in (augmentation, compared, data, method, optim, stage):
        for name, cls in vars(module).items():
            if isinstance(cls, type) and issubclass(cls, Config) and cls.__module__ == module.__name__:
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = {
                    field: _text(about.get_default(call_default_factory=True))
                    for field, about in cls.model_fields.items()
                    if not about.is_required()
                }
    return found


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
    """A suite's report in every format at paper scale, from made-up results: some are missing, some failed."""
    store = Store(folder)
    plan = make_plan(suites.load(suite), SCALES["paper"], SEEDS)
    fill(store, plan, skip="vit_l-1600e-s2", fail="finetune/sketch")
    reports = Reports(SCALES["paper"], Records(store), parse_sets("paper,official"), SEEDS)
    texts: dict[str, str] = {}
    for format in FORMATS:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            print_tables(reports, [plan.table], format)
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
    write_reports()
    write(HERE / "identity.toml", identities())
    write(HERE / "defaults.toml", defaults())
