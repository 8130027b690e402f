"""What shells offer for a half-written word; each answer comes from a process that imports no config and no torch."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from typer.completion import get_completion_script

import caebench
from caebench.cli.completion import OF_A_PRETRAINING, SCALES, SHORT, evaluations, scales
from caebench.specs.registry import EVALUATIONS
from caebench.specs.site import ScaleName
from caebench.suites.evaluation import SHORT as LONG
from caebench.suites.evaluation import columns_named

PROGRAM = """#!{python}
import os, sys
from caebench.cli import main
try:
    main()
finally:
    heavy = [name for name in sys.modules if name.startswith(("torch", "numpy", "caebench.specs"))]
    if heavy and os.environ.get("_CAEBENCH_COMPLETE"):
        print("HEAVY", heavy)
"""
SUITE = (
    'columns = { knn = { header = "k-NN", eval = "knn" } }\nrows = [{ label = "one" }, { id = "T-2", label = "two" }]\n'
)
JOB = "knn-random-98cac62a22"


class Shell:
    """A home with a suite, a site, a store with a job, and `caebench` in its path."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "mine.toml").write_text(SUITE)
        (home / "pyproject.toml").write_text("[project]\n")
        (home / "broken.toml").write_text("[")
        sites = home / ".config" / "caebench" / "sites"
        sites.mkdir(parents=True)
        (sites / "cluster.toml").write_text(f'store = "{home}/shared"\n')
        (home / ".caebench" / "store" / "knn" / JOB).mkdir(parents=True)
        (home / "shared" / "knn" / JOB.replace("98cac", "98fff")).mkdir(parents=True)
        program = home / "bin" / "caebench"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CAEBENCH_", "_"))}
        path = f"{program.parent}:{os.environ['PATH']}"
        package = str(Path(caebench.__file__).parents[1])
        self.environment = {**kept, "HOME": str(home), "PATH": path, "PYTHONPATH": package}

    def run(self, *command: str, **environment: str) -> str:
        """What a program prints."""
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            cwd=self.home,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def script(name: str) -> str:
    """What `caebench --show-completion` prints in a shell."""
    return get_completion_script(prog_name="caebench", complete_var="_CAEBENCH_COMPLETE", shell=name)


LINES = [
    ("caebench eval vit.pth --on li", ["linear", "linear_ade20k", "linear_probe_grid"]),
    ("caebench eval vit.pth --on linear,att", ["linear,attentive"]),
    ("caebench eval vit.pth --like quick", ["quickstart"]),
    ("caebench eval vit.pth --like quickstart --on k", ["knn"]),
    ("caebench eval vit.pth --like mine --on linear,k", ["linear,knn"]),
    ("caebench eval vit.pth --compare-with T1-B-MAE-1600,T1-B-MAE", ["T1-B-MAE-1600,T1-B-MAE-300"]),
    ("caebench run quickst", ["quickstart"]),
    ("caebench run mi", ["mine"]),
    ("caebench run suite mi", ["mine"]),
    ("caebench run jo", ["job"]),
    ("caebench plan a", ["ablation-components", "all"]),
    ("caebench plan py", []),
    ("caebench plan quickstart --scale p", ["paper"]),
    ("caebench run quickstart --scale ", [*SCALES]),
    ("caebench status --site c", ["cluster"]),
    ("caebench logs 98", ["98cac62a22"]),
    ("caebench logs --site cluster 98", ["98fff62a22"]),
    ("caebench status 98", ["98cac62a22"]),
    ("caebench why min", ["mine/"]),
    ("caebench why mine/", ["mine/one/knn", "mine/T-2/knn"]),
    ("caebench why broken/", []),
    ("caebench sui", ["suites"]),
    ("caebench report --for", ["--format"]),
    ("caebench schema s", ["suite", "site"]),
]


@pytest.mark.parametrize(("line", "offered"), LINES, ids=[line for line, _ in LINES])
def test_bash_completes(shell, line, offered):
    """In a real bash, through the script that it is to read."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _caebench_completion caebench"
    printed = shell.run("bash", "-c", f'{script("bash")}\n{asked}\nprintf "%s\\n" "${{COMPREPLY[@]}}"')
    found = printed.split("\n")[:-1]
    assert [word for word in offered if word not in found] == [] and "HEAVY" not in printed
    assert len(offered) == 0 or all(word.startswith(words[-1]) for word in found)
    assert found == [""] or offered


@pytest.mark.parametrize(("line", "offered"), LINES[:14], ids=[line for line, _ in LINES[:14]])
def test_zsh_is_answered(shell, line, offered):
    """What zsh evaluates, asked for as its script does."""
    printed = shell.run("caebench", _CAEBENCH_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert [word for word in offered if f'"{word}"' not in printed] == [] and "HEAVY" not in printed


ZSHRC = """
autoload -Uz compinit; compinit -D -u
PS1='> '
{script}
"""
TYPED = [
    ("caebench eval a --on linear,att\t", "--on linear,attentive "),
    ("caebench run quickst\t", "caebench run quickstart "),
    ("caebench plan qui\t--scale pa\t", "--scale paper "),
    ("caebench status --site cl\t", "--site cluster "),
    ("caebench logs 98\t", "caebench logs 98cac62a22 "),
    ("caebench why mine/o\t", "caebench why mine/one/knn "),
]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh is installed")
@pytest.mark.parametrize(("keys", "line"), TYPED, ids=[keys.strip() for keys, _ in TYPED])
def test_zsh_completes(shell, keys, line):
    """In a real zsh on a terminal, by the tab key."""
    (shell.home / ".zshrc").write_text(ZSHRC.format(script=script("zsh")))
    terminal, side = pty.openpty()
    environment = {**shell.environment, "ZDOTDIR": str(shell.home), "TERM": "dumb"}
    zsh = subprocess.Popen(
        ["zsh", "-i"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), side),
        env=environment,
        cwd=shell.home,
        start_new_session=True,
    )
    try:
        read_until(terminal, "> ")
        os.write(terminal, keys.encode())
        read_until(terminal, line)
    finally:
        zsh.kill()
        zsh.wait()
        os.close(terminal)
        os.close(side)


def read_until(terminal: int, wanted: str) -> None:
    """Read a terminal until it shows a text; the test fails if it does not within a minute."""
    shown, end = "", time.monotonic() + 60
    while wanted not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")


def test_the_script_of_each_shell_names_the_program():
    assert all("caebench" in script(name) and "_CAEBENCH_COMPLETE" in script(name) for name in ("bash", "zsh", "fish"))


def test_the_evaluations_are_those_that_eval_takes():
    context = SimpleNamespace(params={})
    offered = evaluations(context, "")
    assert list(columns_named(offered, None)) == offered
    assert set(offered) == {*SHORT, *EVALUATIONS} - {OF_A_PRETRAINING} and set(SHORT) == set(LONG)


def test_the_scales_are_those_of_sites():
    """The command line names them before it imports what they are."""
    assert get_args(ScaleName) == SCALES and scales("") == [*SCALES]
