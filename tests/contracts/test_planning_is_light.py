"""The half that plans never imports torch, and so answers at once."""

import json
import os
import subprocess
import sys
import time
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


def best_of(number, command, environment):
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(number):
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def test_help_answers_at_once(environment):
    """Half a second on an idle machine; on a busy one, in proportion to how long Python itself takes to start."""
    script = Path(sys.executable).with_name("caebench")
    shown = best_of(5, [str(script), "--help"], environment)
    python = best_of(5, [sys.executable, "-c", "pass"], environment)
    assert shown < max(0.5, 10 * python), f"caebench --help {shown:.2f} s, python -c pass {python:.2f} s"
