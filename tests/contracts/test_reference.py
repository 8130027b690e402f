"""docs/reference/suites.md and sites.md have every field of today's models, and examples that work.

Written anew by `.venv/bin/python -m tests.contracts.test_reference`.
"""

import sys
import tomllib

import pytest

from caebench.planning.checking import check_file
from caebench.planning.setup import set_up
from caebench.specs import plugins
from caebench.specs.registry import OWN
from caebench.specs.site import Site, load_site
from caebench.suites.schema import suite_schema
from tests.json_schema import problems
from tests.reference import FOLDER, PAGES, whole


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf8")


def example(name: str) -> str:
    return read(name).partition("```toml\n")[2].partition("```")[0]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_of_todays_models(name):
    assert read(name) == whole(name, read(name)), "run .venv/bin/python -m tests.contracts.test_reference"


@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_an_example(name):
    rows = [line.split(" | ") for line in read(name).splitlines() if line.startswith("| `") and line.count(" | ") == 4]
    assert len(rows) > 25
    assert [row[0] for row in rows if not row[3].strip() or not row[4].strip(" |")] == []


def test_the_example_of_a_suite_is_sound_and_plans(tmp_path):
    path = tmp_path / "example.toml"
    path.write_text(example("suites.md"), encoding="utf8")
    checked = check_file(path)
    assert checked.mistakes == () and checked.plan is not None
    assert [len(cell.jobs) for cell in checked.plan.cells] == [1, 3, 1] * 3 + [0] * 3
    assert len(set_up(str(path), "nano", "local", tmp_path, [0, 1]).plans.jobs) > len(checked.plan.jobs)
    assert problems(suite_schema(), tomllib.loads(example("suites.md"))) == []


def test_the_example_of_a_site_loads(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.delenv("CAEBENCH_STORE", raising=False)
    path = tmp_path / ".config" / "caebench" / "sites" / "cluster.toml"
    path.parent.mkdir(parents=True)
    path.write_text(example("sites.md"), encoding="utf8")
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "caebench.py").write_text("STAGES = {}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "USED", [])
    site = load_site("cluster")
    for name in ("mylab.caebench", "mylab"):
        del sys.modules[name]
    assert site.section is not None and site.section.of("knn").partition == "short"
    assert str(site.roots["imagenet_v2"]).startswith("/scratch/")
    assert {"calibration"} == Site.model_fields.keys() - tomllib.loads(example("sites.md")).keys()


def test_every_recipe_is_on_the_page():
    headings = {line.strip("# `") for line in read("suites.md").splitlines() if line.startswith("### ")}
    assert {*OWN.sources, *OWN.evaluations} <= headings


if __name__ == "__main__":
    for page in PAGES:
        (FOLDER / page).write_text(whole(page, read(page)), encoding="utf8")
