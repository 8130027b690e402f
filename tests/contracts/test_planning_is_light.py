"""The half that plans never imports torch, and so answers at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "timm", "skimage", "sklearn")
CODE = """
import json, sys
from caebench.cli import main
sys.argv = ["caebench", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as stop:
    print("STATUS", stop.code, file=sys.stderr)
print("HEAVY", [name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
VERBS = [
    ["--help"],
    ["ls"],
    ["plan", "quickstart", "--scale", "paper"],
    ["plan", "quickstart", "--scale", "nano", "--json"],
    ["status"],
    ["status", "quickstart"],
    ["report", "--help"],
    ["report", "--suite", "quickstart"],
    ["why", "0123456789"],
    ["diff", "cae", "official"],
    ["diff", "segmentation-ade20k/T2-B-CAE*-1600/best", "ade20k_grid", "--json"],
    ["doctor"],
    ["run", "suite", "--help"],
    ["suites", "check", "quickstart"],
    ["schema", "suite"],
    ["run", "job", "0123456789"],
    ["data", "--help"],
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "HOME": str(home), "CAEBENCH_STORE": str(home / "store")}


@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_a_planning_verb_does_not_import_torch(arguments, environment):
    command = [sys.executable, "-c", CODE.format(heavy=HEAVY), json.dumps(arguments)]
    done = subprocess.run(command, env=environment, cwd=environment["HOME"], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "HEAVY []", done.stderr
    assert "Traceback" not in done.stderr


PRINTING = {"annotated_doc", "markdown_it", "mdurl", "pygments", "rich", "shellingham", "typer"}
BARE = 'import json, sys; print(json.dumps([name.partition(".")[0] for name in sys.modules]))'
LISTED = """
mine = sorted(name for name in sys.modules if name.startswith("caebench."))
others = sorted({name.partition(".")[0] for name in sys.modules if not name.startswith("_")})
print(json.dumps([mine, others]), file=sys.stderr)
"""


def test_help_imports_nothing_but_what_prints_it(environment):
    """What is imported is nearly all of its time: half a second on an idle machine."""
    command = [sys.executable, "-c", CODE.format(heavy=HEAVY) + LISTED, '["--help"]']
    done = subprocess.run(command, env=environment, cwd=environment["HOME"], capture_output=True, text=True, check=True)
    mine, others = json.loads(done.stderr.splitlines()[-1])
    assert "Develop" in done.stdout and {name.split(".")[1] for name in mine} == {"cli"}
    bare = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=True, env=environment)
    assert set(others) - set(json.loads(bare.stdout)) - set(sys.stdlib_module_names) - {"caebench"} <= PRINTING


def test_the_installed_command_answers(environment):
    script = Path(sys.executable).with_name("caebench")
    done = subprocess.run([script, "--help"], env=environment, capture_output=True, text=True, check=True)
    assert "Usage: caebench" in done.stdout
