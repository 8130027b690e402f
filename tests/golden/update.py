"""Write identity.toml and defaults.toml anew: `.venv/bin/python tests/golden/update.py`.

Only for a change that is meant: a job whose id moves is computed again, at paper scale for thousands of GPU-hours. Say
in the commit's last line what moved and why (`Identity: pretrain/cae v1 -> v2, because ...`).
"""

import json
from pathlib import Path

from caebench import suites
from caebench.config import data, method, optim, stage
from caebench.config.base import Config
from caebench.plan.graph import make_plan
from caebench.plan.identity import canonical, full
from caebench.plan.scale import SCALES

HERE = Path(__file__).parent
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
    for module in (data, method, optim, stage):
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


if __name__ == "__main__":
    write(HERE / "identity.toml", identities())
    write(HERE / "defaults.toml", defaults())
