"""A plug-in that cannot be used is one line that names it, where it is named, and what to do; exit status 2."""

import importlib
import sys
from pathlib import Path

import pytest

from caebench.specs import plugins
from tests.helpers import Bench

SPECS = """
from typing import Literal
from caebench.specs.methods.base import Method
from caebench.specs.registry import Specs

class Mine(Method):
    kind: Literal["{kind}"]

    def step_multiply_adds(self, variant, image_size):
        return 1.0

def mine(variant="vit_b"):
    raise AssertionError

SPECS = Specs(methods=(Mine,), sources={{"{recipe}": mine}}, evaluations={{{evaluations}}})
"""


@pytest.fixture
def bench(tmp_path) -> Bench:
    """A home folder whose site `local` looks for plug-ins in the folder `lab`."""
    (tmp_path / "home").mkdir()
    return Bench(tmp_path / "store", tmp_path / "home")


def write(bench: Bench, plugins: str, **modules: str) -> Path:
    """The modules, and the site that names them."""
    lab = bench.home / "lab"
    for name, text in modules.items():
        path = lab / f"{name.replace('_in_', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    bench.write_site("local", f'plugins = {plugins}\nplugins_path = ["{lab}"]\n')
    return lab


def specs(kind: str = "mine", recipe: str = "mine", evaluations: str = "") -> str:
    return SPECS.format(kind=kind, recipe=recipe, evaluations=evaluations)


def refused(bench: Bench, *arguments: str) -> str:
    """The one line of a command that is refused."""
    command = bench.run(*arguments)
    assert command.wait() == 2, command.output
    (line,) = command.output.splitlines()
    return line


SITE = ".config/caebench/sites/local.toml"
CASES = {  # modules, plugins, what is said; {lab} and {site} stand for paths
    "raises what is no Exception": (
        {"broken": "class Odd(BaseException):\n    def __str__(self):\n        return 1 / 0\n\n\nraise Odd\n"},
        "plug-in 'broken' (plugins in {site}): Odd, at {lab}/broken.py:6. Correct the plug-in.",
    ),
    "raises when it is asked for an attribute": (
        {"broken": "def __getattr__(name):\n    raise RuntimeError(name)\n"},
        "plug-in 'broken' (plugins in {site}): RuntimeError: SPECS, at {lab}/broken.py:2. Correct the plug-in.",
    ),
    "raises": (
        {"broken": "import os\n\nraise RuntimeError('no\\nGPU here')\n"},
        "plug-in 'broken' (plugins in {site}): RuntimeError: no GPU here, at {lab}/broken.py:3. Correct the plug-in.",
    ),
    "is not Python": (
        {"broken": "x = (\n"},
        "plug-in 'broken' (plugins in {site}): SyntaxError: '(' was never closed, at {lab}/broken.py:1. Correct the "
        "plug-in.",
    ),
    "misses a package": (
        {"broken": "import os\nimport no_such_package\n"},
        "plug-in 'broken' (plugins in {site}): ModuleNotFoundError: No module named 'no_such_package', at "
        "{lab}/broken.py:2. Correct the plug-in.",
    ),
    "ends the process": (
        {"broken": "import sys\nsys.exit(0)\n"},
        "plug-in 'broken' (plugins in {site}): SystemExit: 0, at {lab}/broken.py:2. Correct the plug-in.",
    ),
    "is not there": (
        {"brokn": ""},
        "plugins in {site}: plug-in 'broken': no such module. Did you mean 'brokn'? Looked in {lab}, PYTHONPATH, and "
        "the installed packages. Correct the name, or name the folder that it is in as plugins_path.",
    ),
    "has nothing": (
        {"broken": "SPEC = 1\n"},
        "plug-in 'broken' (plugins in {site}): {lab}/broken.py has none of SPECS, DATASETS, STAGES, METHODS. A plug-in "
        "has at least one: see docs/how-to/add-a-method.md.",
    ),
    "has another type": (
        {"broken": "SPECS = {}\n"},
        "plug-in 'broken' (plugins in {site}): SPECS is of type dict: give a caebench.specs.registry.Specs.",
    ),
    "has a list of something else": (
        {"broken": "DATASETS = ['flowers']\n"},
        "plug-in 'broken' (plugins in {site}): DATASETS is of type str: give a tuple of data sets "
        "(caebench.datasets.base.Dataset).",
    ),
    "names an object that is not there": (
        {"broken": "SPECS = 'broken_specs:SPEC'\n", "broken_specs": specs()},
        "plug-in 'broken' (plugins in {site}): broken_specs has no 'SPEC' (broken_specs:SPEC). Correct the plug-in.",
    ),
    "names a module that is not there": (
        {"broken": "SPECS = 'broken_spec:SPECS'\n"},
        "plug-in 'broken' (plugins in {site}): no module 'broken_spec'. Correct the plug-in, or install it again.",
    ),
    "shadows a method": (
        {"broken": specs(kind="mae")},
        "plug-in 'broken' (plugins in {site}): method 'mae' is that of caebench itself already. Choose another name.",
    ),
    "shadows a recipe": (
        {"broken": specs(recipe="dino")},
        "plug-in 'broken' (plugins in {site}): recipe 'dino' is that of caebench itself already. Choose another name.",
    ),
    "shadows an evaluation": (
        {"broken": specs(evaluations="'knn': mine")},
        "plug-in 'broken' (plugins in {site}): evaluation 'knn' is that of caebench itself already. Choose another "
        "name.",
    ),
    "calls a recipe as an evaluation is called": (
        {"broken": specs(recipe="knn")},
        "plug-in 'broken' (plugins in {site}): recipe 'knn' is also the evaluation 'knn' of caebench itself. Choose "
        "another name.",
    ),
    "shadows a data set": (
        {
            "broken": "from dataclasses import replace\nfrom caebench.datasets.food101 import FOOD101\n"
            "DATASETS = (replace(FOOD101, folder='mine'),)\n"
        },
        "plug-in 'broken' (plugins in {site}): data set 'food101' is that of caebench itself already. Choose another "
        "name.",
    ),
    "has a class without a kind": (
        {"broken": specs().replace('kind: Literal["mine"]', "size: int = 1")},
        "plug-in 'broken' (plugins in {site}): SPECS is damaged: a kind or method in it has no field "
        "`kind: Literal[...]` ('kind'). Correct it.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_module_is_one_line(case, bench):
    modules, said = CASES[case]
    lab = write(bench, '["broken"]', **modules)
    assert refused(bench, "ls") == f"error: {said.format(lab=lab, site=bench.home / SITE)}"


def test_two_plug_ins_with_one_name_are_both_named(bench):
    write(bench, '["one", "two"]', one=specs(), two=specs(kind="other"))
    where = f"plugins in {bench.home / SITE}"
    said = f"recipe 'mine' is that of plug-in 'one' ({where}) already. Choose another name."
    assert refused(bench, "plan", "quickstart") == f"error: plug-in 'two' ({where}): {said}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plugins = ['my-lab']", "field 'plugins.0' is 'my-lab': 'my-lab' is no name of a module. Write it as Python"),
        ("plugins = 'mylab'", "field 'plugins' is 'mylab': input should be a valid tuple"),
        (
            "plugins_path = ['lab']",
            "plugins_path has 'lab': commands and jobs start in other folders. Give an absolute",
        ),
    ],
)
def test_a_wrong_field_is_one_line(line, said, bench):
    bench.write_site("local", f"{line}\n")
    assert said in refused(bench, "plan", "quickstart")


def test_a_module_of_the_working_folder_is_found_and_the_line_for_the_site_file_told(bench):
    (bench.home / "mylab").mkdir()
    bench.write_site("local", 'plugins = ["mylab"]\n')
    assert refused(bench, "ls").endswith(f'It is in this folder: add plugins_path = ["{bench.home}"] to the site file.')


def test_a_site_of_its_own_has_plug_ins_of_its_own(bench):
    write(bench, '["broken"]', broken="raise RuntimeError\n")
    bench.write_site("cluster", "")
    assert bench.run("plan", "quickstart", "--site", "cluster").wait() == 0
    assert "RuntimeError, at" in refused(bench, "plan", "quickstart")


def test_verbs_that_need_no_plug_in_work_and_doctor_reports_it(bench):
    write(bench, '["broken", "fine"]', broken="raise RuntimeError('no')\n", fine=specs())
    for words in (("--help",), ("--version",), ("ckpt", "families")):
        assert bench.run(*words).wait() == 0
    command = bench.run("doctor")
    assert command.wait() == 2
    assert "RuntimeError: no, at" in command.output and "plug-in fine" in command.output


def install(bench: Bench, name: str, groups: str) -> dict[str, str]:
    """A package as pip leaves it; returns the environment in which it is installed."""
    info = bench.home / "installed" / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(groups)
    return {"PYTHONPATH": str(info.parent)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise KeyError('a')\n", "KeyError: 'a', at {lab}/broken.py:1. Correct the plug-in."),
        ("SPECS = 1\n", "SPECS is of type int: give a caebench.specs.registry.Specs."),
        (None, "no module 'broken'. Correct the plug-in, or install it again."),
        (specs(kind="cae"), "method 'cae' is that of caebench itself already. Choose another name."),
    ],
)
def test_a_broken_entry_point_names_the_package_that_installed_it(text, said, bench, monkeypatch):
    """Through the function that reads them: they are read when Python starts."""
    environment = install(bench, "broken-lab", "[caebench.specs]\nany = broken:SPECS\n")
    lab = bench.home / "installed"
    if text is not None:
        (lab / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(environment["PYTHONPATH"])
    importlib.invalidate_caches()
    monkeypatch.setattr(plugins, "PROBLEMS", [])
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    plugins.use_installed()
    sys.modules.pop("broken", None)
    with pytest.raises(plugins.PluginError) as found:
        plugins.use(())
    assert str(found.value) == f"plug-in 'broken-lab' (installed package broken-lab 1.0): {said.format(lab=lab)}"
