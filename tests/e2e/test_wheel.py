"""caebench as an installed wheel, outside of a clone: plans, jobs, and snapshots of the installed package."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd, **environment):
    """A process that does not see the clone."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CAEBENCH"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with a wheel and an sdist of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """An interpreter that has the wheel, and the tests' other packages without the clone."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def test_a_wheel_of_a_wheel_s_sdist_has_the_same_files(built, tmp_path):
    subprocess.run(["tar", "xzf", str(next(built.glob("*.tar.gz"))), "-C", str(tmp_path)], check=True)
    (source,) = tmp_path.iterdir()
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist"), cwd=source)
    assert done.returncode == 0, done.stderr
    names = [sorted(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()) for folder in (built, tmp_path / "dist")]
    assert names[0] == names[1]
    assert {"caebench/build.json", "caebench/assets.toml", "caebench/suites_builtin/quickstart.toml"} < set(names[0])


def test_an_installed_wheel_plans_and_knows_its_commit(python, tmp_path):
    planned = run(python, "-m", "caebench", "plan", "quickstart", "--json", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert len(json.loads(planned.stdout)["jobs"]) == 40
    told = run(python, "-c", SHOW_CODE, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    code = json.loads(told.stdout)
    assert code["package"].startswith(str(python.parents[1])) and code["commit"] == commit()


def test_an_edited_file_of_an_installed_wheel_marks_results(python, tmp_path):
    edited = next(python.parents[1].glob("lib/python*/site-packages/caebench/__main__.py"))
    text = edited.read_text()
    try:
        edited.write_text(text + "# edited\n")
        told = json.loads(run(python, "-c", SHOW_CODE, cwd=tmp_path).stdout)
        refused = run(python, "-c", TAKE, str(tmp_path / "store"), cwd=tmp_path)
    finally:
        edited.write_text(text)
    assert told["dirty"] is True
    assert "changes since its commit (__main__.py, ...). Install it again, or use --dirty" in refused.stderr


@pytest.mark.slow
def test_a_job_runs_from_a_snapshot_of_the_installed_package(python, tmp_path):
    store = tmp_path / "store"
    taken = run(python, "-c", TAKE, str(store), "dirty", cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    snapshot = Path(taken.stdout.strip())
    assert (snapshot / "caebench" / "suites_builtin" / "quickstart.toml").exists()
    ran = run(
        python, "-m", "caebench", "eval", "quickstart/Random encoder", "--on", "knn", "--jobs", "1",
        cwd=tmp_path, PYTHONPATH=str(snapshot), CAEBENCH_STORE=str(store),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr + ran.stdout
    (provenance,) = [json.loads(path.read_text()) for path in store.glob("knn/*/provenance.json")]
    assert provenance["commit"] == commit()


SHOW_CODE = (
    "import json; from caebench.execution import provenance as p; "
    "print(json.dumps({**p.code(), 'package': str(p.REPOSITORY)}))"
)
TAKE = (
    "import sys; from pathlib import Path; from caebench.execution.snapshot import take; "
    "print(take(Path(sys.argv[1]), len(sys.argv) > 2))"
)


def commit():
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.strip()
