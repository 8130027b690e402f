"""A method, an evaluation and a data set from outside of the tree, from plan to table: the examples of docs/how-to."""

import json
import os
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SUITE = "examples/suites/toy.toml"
STRIPES = "examples/suites/stripes.toml"
TINY = """
import sys
from caebench.planning import scale
from tests.conftest import TINY
scale.SCALES["nano"] = TINY
from caebench.cli import main
sys.argv[0] = "caebench"
main()
"""


@pytest.fixture
def caebench(tmp_path):
    """The command line with the plug-in installed, as pip leaves it: package and entry points; at tiny scale."""
    project = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())["project"]
    info = tmp_path / "installed" / "caebench_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [line for group, names in groups for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    installed = [str(EXAMPLES), str(info.parent)]

    def run(*arguments, status=0, is_installed=True):
        places = [str(ROOT), *(installed if is_installed else []), *filter(None, [os.environ.get("PYTHONPATH")])]
        found = subprocess.run(
            [sys.executable, "-c", TINY, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(places),
                "HOME": str(tmp_path),
                "CAEBENCH_STORE": str(tmp_path / "store"),
            },
            capture_output=True,
            text=True,
        )
        assert found.returncode == status, found.stdout + found.stderr
        return found.stdout

    return run


def test_a_method_and_an_evaluation_of_another_project_go_from_plan_to_table(caebench):
    planned = json.loads(caebench("plan", SUITE, "--json"))
    names = [job["name"].rpartition("-")[0] for job in planned["jobs"]]
    assert "pretrain/rotation-nano_s-3e-s0" in names
    assert "nearest_centroid/imagenet1k-rotation-nano_s-3e-s0" in names
    caebench("run", "suite", SUITE, "--jobs", "1")  # one worker, which imports torch
    cells = json.loads(caebench("report", "--suite", SUITE, "--scale", "nano", "--format", "json"))["cells"]
    values = {(cell["row"], cell["column"]): cell["mean"] for cell in cells}
    assert len(values) == 4 and all(0.0 < value <= 100.0 for value in values.values())
    again = json.loads(caebench("plan", SUITE, "--json"))
    assert {job["state"] for job in again["jobs"]} == {"done"}


def test_a_data_set_of_a_module_that_a_site_names_goes_from_plan_to_table(caebench, tmp_path):
    caebench = partial(caebench, is_installed=False)
    site = tmp_path / ".config" / "caebench" / "sites" / "local.toml"
    site.parent.mkdir(parents=True)
    named = f'plugins = ["caebench_toy"]\nplugins_path = ["{EXAMPLES}"]\n'
    site.write_text(named)
    planned = json.loads(caebench("plan", STRIPES, "--json"))
    (data,) = [job["name"] for job in planned["jobs"] if job["name"].startswith("data/stripes")]
    caebench("run", "suite", STRIPES, "--jobs", "1")
    cells = json.loads(caebench("report", "--suite", STRIPES, "--scale", "nano", "--format", "json"))["cells"]
    for path in (tmp_path / "store").glob("*/*/provenance.json"):
        (plugin,) = json.loads(path.read_text())["plugins"]
        assert (plugin["plugin"], plugin["module"]) == ("caebench_toy", "caebench_toy") and len(plugin["commit"]) == 40
    values = {cell["column"]: cell["mean"] for cell in cells}
    assert values.keys() == {"knn", "centroid"} and all(value > 60.0 for value in values.values()), values
    site.write_text(f'{named}[data]\nstripes = "{tmp_path / "store" / data / "world" / "stripes"}"\n')
    checked = caebench("data", "check", "stripes", "--no-decode", status=1)
    assert "train has 40 images, expected 20,000" in checked and "Nobody publishes it" in checked


def test_without_the_plug_in_its_suite_is_refused(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "caebench", "plan", SUITE],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 2 and "unknown evaluation 'nearest_centroid'" in found.stderr
